import { openControl } from '../../core/process/mod.js';
import type { ExitCode } from '../exit-codes.js';
import { EXIT_OK } from '../exit-codes.js';
import { print } from '../output.js';
import { scriptName } from '../script-name.js';
import type { CommandContext } from './command.js';

/** `reload`: waits until the processes have been replaced; words behind it name the workers whose processes those are. */
export async function reload({ args, options }: CommandContext): Promise<ExitCode> {
  const { graceful, names } = args;
  const client = await openControl(options);
  await print(`${scriptName()} (pid ${client.hello.pid}) is reloading\n`);
  const { replaced, kept } = await client.ask({
    command: 'reload',
    graceful,
    workers: names.length === 0 ? null : names,
  });
  client.close();
  await print(`reloaded: ${replaced} replaced, ${kept} kept\n`);
  return EXIT_OK;
}
