import cluster from 'node:cluster';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';
import { messageOf, stackOf } from '../../util/mod.js';
import type { BaseWorker } from './base-worker.js';
import { EXIT_UNCAUGHT } from './child.js';
import type { Claim } from './control/claim.js';
import { claim } from './control/claim.js';
import { controlPaths } from './control/paths.js';
import type { Hello } from './control/protocol.js';
import { PROTOCOL } from './control/protocol.js';
import type { Engine } from './engine.js';
import { ReloadError } from './errors.js';
import type { ServiceLogs } from './logs.js';
import type { Service } from './service.js';
import type { ServiceOptions } from './service-options.js';
import { impossible } from './service-options.js';
import { onSignals, surviveLostOutput } from './signals.js';
import { onStopAll } from './stop-all.js';
import { readWatchOptions } from './watch-options.js';
import { Watching } from './watching.js';

const SYSTEM = Object.freeze({ node: process.version, system: `${process.platform} ${process.arch}` });

/** What the shell calls a program that Ctrl+C ended: 128 + SIGINT. */
const EXIT_KILLED = 130;

/** What a service that commands can reach says of itself. */
export type ControlFacts = Pick<Hello, 'version' | 'daemon'>;

/** What goes with the start of an engine. */
export interface Launch {
  readonly workers: readonly BaseWorker[];
  readonly options: ServiceOptions;
  readonly logs: ServiceLogs;
  /** null: without pid file and control socket. */
  readonly control: ControlFacts | null;
  /** To be called once nothing runs any more. */
  readonly over: () => void;
}

/** Starts an engine and ties it to its process: signals, commands, changed files, the last words. @throws StartError */
export async function launch(engine: Engine, plan: Launch): Promise<Service> {
  const { workers, options, control, logs, over } = plan;
  const { log } = logs;
  let state: Hello['state'] = 'starting';
  let claimed: Claim | undefined;
  let watching: Watching | undefined;
  const stop = async (graceful = false) => {
    state = 'stopping';
    await Promise.all([engine.stop(graceful), watching?.close()]);
    claimed?.release();
  };
  let left: Promise<void> | undefined;
  const leave = (why: string, graceful = false, code = 0) => {
    log.info(`stopping${graceful ? ' gracefully' : ''} on ${why}`);
    // One that is not graceful hurries one that is.
    if (left !== undefined) return stop(graceful);
    left = stop(graceful).then(() => {
      log.info('stopped');
      // Not at once: whoever asked for it gets the answer; and when a failed start is what was being stopped, its error
      // comes first, with its own exit code.
      setImmediate(() => process.exit(code));
    });
    return left;
  };
  if (control !== null && options.ownsProcess && isOwnProgram()) {
    const hello = () => ({ protocol: PROTOCOL, pid: process.pid, state, ...control, ...SYSTEM });
    claimed = await claimFor(engine, options, hello, leave);
  }
  let ended = false;
  const service: Service = {
    workers,
    mode: options.processes,
    processes: () => engine.processes(),
    status: () => engine.status(),
    connections: () => engine.connections(),
    reload: (reloadOptions) => engine.reload(reloadOptions),
    stop: async (graceful) => {
      await stop(graceful);
      // Whoever hurries a stop, or asks once more, waits for the same end.
      if (ended) return;
      ended = true;
      release();
      over();
    },
  };
  const disown = options.ownsProcess ? own(engine, plan, leave) : ignore;
  const forgetStopAll = onStopAll((code, last) => {
    if (last !== '') log.info(last);
    void (options.ownsProcess ? leave('stopAll', false, code) : service.stop());
  });
  const release = () => {
    forgetStopAll();
    disown();
  };
  try {
    watching = watchingFor(engine, plan);
    await engine.start();
  } catch (error) {
    await watching?.close();
    release();
    claimed?.release();
    throw error;
  }
  if (state === 'starting') state = 'running';
  watching?.begin();
  return service;
}

/** undefined: there is no entry script to be found by. @throws StartError */
async function claimFor(
  engine: Engine,
  { pidFile, only }: ServiceOptions,
  hello: () => Hello,
  leave: (why: string, graceful: boolean) => Promise<void>,
): Promise<Claim | undefined> {
  const paths = controlPaths(pidFile, only);
  if (paths === undefined) return undefined;
  return claim(paths, {
    hello,
    stop: (graceful) => leave(graceful ? 'stop -g' : 'stop', graceful),
    reload: async (reloadOptions) => {
      const { state } = hello();
      if (state === 'running') return engine.reload(reloadOptions);
      throw new ReloadError('GW_RELOAD_IMPOSSIBLE', `the service is still ${state}; it can be reloaded while it runs`);
    },
    processes: () => engine.processes(),
    status: () => engine.status(),
    connections: () => engine.connections(),
  });
}

/** What changes during the start counts as well. @throws OptionsError */
function watchingFor(engine: Engine, { options: { watch }, logs: { log } }: Launch): Watching | undefined {
  if (watch === null) return undefined;
  try {
    return new Watching(readWatchOptions(watch), () => engine.reload(), log);
  } catch (error) {
    throw impossible(`'watch' is not possible: ${messageOf(error)}`);
  }
}

/** Neither a thread nor a process of another program's cluster: those are found and stopped by what made them. */
function isOwnProgram(): boolean {
  return isMainThread && !cluster.isWorker;
}

/** Ties the life of this process to the service; returns what unties them. */
function own(
  engine: Engine,
  { options, logs: { log, lastWords } }: Launch,
  leave: (why: string, graceful: boolean) => Promise<void>,
): () => void {
  surviveLostOutput();
  if (options.processes === 'many') process.title = 'gatewayworker: master';
  const releaseSignals = onSignals({
    stop: (signal, graceful) => void leave(signal, graceful),
    reload: (signal, graceful) => {
      log.info(`reload on ${signal}`);
      engine.reload({ graceful }).catch((error) => {
        // Of one that had begun the engine has told.
        if (error.code === 'GW_RELOAD_IMPOSSIBLE') log.warn(messageOf(error));
      });
    },
    kill: () => {
      log.warn('killing what is left');
      engine.kill();
      process.exit(EXIT_KILLED);
    },
  });
  // The master runs no user code but the entry script, and Node's own way is right for that: the stack, and exit code 1.
  if (options.processes === 'many') {
    const report = (error: unknown, origin: NodeJS.UncaughtExceptionOrigin) =>
      lastWords?.error(uncaughtText(error, origin));
    process.on('uncaughtExceptionMonitor', report);
    return () => {
      releaseSignals();
      process.off('uncaughtExceptionMonitor', report);
    };
  }
  const onUncaught = async (error: unknown, origin: NodeJS.UncaughtExceptionOrigin) => {
    log.error(uncaughtText(error, origin));
    await engine.stop();
    process.exit(EXIT_UNCAUGHT);
  };
  process.on('uncaughtException', onUncaught);
  // A service that has nothing open at the moment is not over; the master of many has its processes to wait for.
  const alive = setInterval(ignore, 2 ** 30);
  return () => {
    clearInterval(alive);
    releaseSignals();
    process.off('uncaughtException', onUncaught);
  };
}

function uncaughtText(error: unknown, origin: NodeJS.UncaughtExceptionOrigin): string {
  return `${origin === 'unhandledRejection' ? 'unhandled rejection' : 'uncaught exception'}: ${stackOf(error)}`;
}

function ignore(): void {}
