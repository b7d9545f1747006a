import process from 'node:process';

/** Ctrl+\, and `kill -QUIT`: a stop that leaves connections to end by themselves. */
const GRACEFUL_STOP_SIGNAL: NodeJS.Signals = 'SIGQUIT';

/** Ctrl+C, a service manager, the terminal that went away, and the graceful one. Windows has only some of them. */
export const STOP_SIGNALS: readonly NodeJS.Signals[] = Object.freeze([
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  GRACEFUL_STOP_SIGNAL,
]);

/** As the original's. Without a listener the first opens Node's inspector, and the second ends the process. */
const RELOAD_SIGNAL: NodeJS.Signals = 'SIGUSR1';
export const GRACEFUL_RELOAD_SIGNAL: NodeJS.Signals = 'SIGUSR2';

/**
 * A SIGINT this soon after the first is a copy of it, not an impatient person: `npm start` passes on what the terminal
 * has already sent to all. Milliseconds.
 */
const COPY_WITHIN = 250;

/** What signals ask of a service. */
export interface SignalActions {
  /** Once; and once more, not graceful, when the first was graceful and somebody loses patience. */
  stop(signal: NodeJS.Signals, graceful: boolean): void;
  reload(signal: NodeJS.Signals, graceful: boolean): void;
  /** SIGINT while a stop that is not graceful is going on. */
  kill(): void;
}

/** @returns leaves the signals to Node again */
export function onSignals(actions: SignalActions): () => void {
  let stoppedAt: number | undefined;
  let patient = false;
  const onStop = (signal: NodeJS.Signals) => {
    const graceful = signal === GRACEFUL_STOP_SIGNAL;
    if (stoppedAt === undefined || (patient && !graceful)) {
      stoppedAt = performance.now();
      patient = graceful;
      actions.stop(signal, graceful);
    } else if (signal === 'SIGINT' && performance.now() - stoppedAt > COPY_WITHIN) {
      actions.kill();
    }
  };
  const onReload = (signal: NodeJS.Signals) => actions.reload(signal, signal === GRACEFUL_RELOAD_SIGNAL);
  const listeners = new Map<NodeJS.Signals, (signal: NodeJS.Signals) => void>([
    ...STOP_SIGNALS.map((signal) => [signal, onStop] as const),
    [RELOAD_SIGNAL, onReload],
    [GRACEFUL_RELOAD_SIGNAL, onReload],
  ]);
  for (const [signal, listener] of listeners) process.on(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}

/**
 * A terminal or pipe that went away must not end a server that only wanted to log: without a listener, the failed
 * write is an uncaught exception.
 */
export function surviveLostOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.off('error', ignore);
    stream.on('error', ignore);
  }
}

function ignore(): void {}
