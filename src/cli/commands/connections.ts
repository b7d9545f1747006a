import type { ConnectionRow } from '../../core/process/mod.js';
import { openControl } from '../../core/process/mod.js';
import type { ExitCode } from '../exit-codes.js';
import { EXIT_OK } from '../exit-codes.js';
import { print } from '../output.js';
import { connectionsScreen } from '../screens/connections.js';
import type { CommandContext } from './command.js';

/** `connections`: every connection of every process; with `--json` one row a line, as one JSON array. */
export async function connections({ args, options }: CommandContext): Promise<ExitCode> {
  const client = await openControl(options);
  const rows: ConnectionRow[] = [];
  for await (const part of client.connections()) rows.push(...part);
  client.close();
  await print(`${args.json ? jsonLines(rows) : connectionsScreen(rows)}\n`);
  return EXIT_OK;
}

function jsonLines(rows: readonly ConnectionRow[]): string {
  return rows.length === 0 ? '[]' : `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]`;
}
