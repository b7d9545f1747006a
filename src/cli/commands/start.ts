import process from 'node:process';
import type { BaseWorker, Service } from '../../core/process/mod.js';
import { startService } from '../../core/process/mod.js';
import { bannerText } from '../banner.js';
import { packageVersion } from '../version.js';
import type { CommandContext } from './command.js';
import { notThereYet } from './not-there-yet.js';

/** `start`: everything in the foreground, until Ctrl+C or a `stop`. */
export async function start(context: CommandContext): Promise<Service> {
  if (context.args.daemon) return notThereYet(context);
  const service = await startService(context.options, { version: packageVersion(), daemon: false });
  if (!context.args.quiet) console.log(banner(service));
  return service;
}

function banner(service: Service): string {
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
  });
}

/** Where clients connect; a worker without such an address shows where the cluster does. */
function clientAddresses(worker: BaseWorker): string[] {
  const listens = worker.plannedListens();
  const outer = listens.filter((listen) => listen.inner !== true);
  return (outer.length > 0 ? outer : listens).map((listen) => listen.address);
}
