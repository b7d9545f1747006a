import process from 'node:process';

/** Ctrl+C, a service manager, and the terminal that went away. */
export const STOP_SIGNALS: readonly NodeJS.Signals[] = Object.freeze(['SIGINT', 'SIGTERM', 'SIGHUP']);

/**
 * A SIGINT this soon after the first is a copy of it, not an impatient person: `npm start` passes on what the terminal
 * has already sent to all. Milliseconds.
 */
const COPY_WITHIN = 250;

/**
 * Calls `stop` on the first stop signal of this process, and `kill` on a SIGINT that follows.
 *
 * @returns leaves the signals to Node again
 */
export function onStopSignals(stop: (signal: NodeJS.Signals) => void, kill: () => void): () => void {
  let stoppedAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stoppedAt === undefined) {
      stoppedAt = performance.now();
      stop(signal);
    } else if (signal === 'SIGINT' && performance.now() - stoppedAt > COPY_WITHIN) {
      kill();
    }
  };
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  return () => {
    for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
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
