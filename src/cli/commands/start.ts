import { relative } from 'node:path';
import process from 'node:process';
import type { BaseWorker, Service, ServiceOptions } from '../../core/process/mod.js';
import { logFilePath, startService } from '../../core/process/mod.js';
import type { Arguments } from '../arguments.js';
import { bannerText } from '../banner.js';
import { inBackground, reportReady, startInBackground } from '../daemon.js';
import { packageVersion } from '../version.js';
import type { CommandContext } from './command.js';

/** `start`: everything in the foreground, until Ctrl+C or a `stop`. `start -d`: in the background. */
export async function start(context: CommandContext): Promise<Service> {
  const options = startOptions(context);
  const daemon = options.daemonize === true;
  if (daemon && !inBackground()) return startInBackground(options);
  const service = await startService(options, { version: packageVersion(), daemon });
  const hint = daemon ? backgroundHint(context.args, options) : 'Press Ctrl+C to stop.';
  const text = context.args.quiet ? '' : banner(service, hint);
  if (daemon) reportReady(text);
  else if (text !== '') console.log(text);
  return service;
}

/** The options with what the command line says. */
export function startOptions({ args, options }: CommandContext): Partial<ServiceOptions> {
  return {
    ...options,
    ...(args.daemon && { daemonize: true }),
    // What the options say of it is more than the word alone does.
    ...(args.watch && options.watch == null && { watch: {} }),
  };
}

function backgroundHint({ only }: Arguments, options: Partial<ServiceOptions>): string {
  const logFile = logFilePath(options);
  const stop = only === null ? 'stop' : `stop --only=${only.join(',')}`;
  return [
    `Started in the background as process ${process.pid}.`,
    ...(logFile === null ? [] : [`Its log is ${logFile}`]),
    `Stop it with: node ${relative(process.cwd(), process.argv[1] ?? '')} ${stop}`,
  ].join('\n');
}

function banner(service: Service, hint: string): string {
  return bannerText({
    version: packageVersion(),
    node: process.version,
    system: `${process.platform} ${process.arch}`,
    mode: service.mode,
    rows: service.workers.map((worker) => ({
      worker: worker.name,
      listens: clientAddresses(worker),
      processes: service.mode === 'single' ? 1 : worker.count,
    })),
    hint,
  });
}

/** Where clients connect; a worker without such an address shows where the cluster does. */
function clientAddresses(worker: BaseWorker): string[] {
  const listens = worker.plannedListens();
  const outer = listens.filter((listen) => listen.inner !== true);
  return (outer.length > 0 ? outer : listens).map((listen) => listen.address);
}
