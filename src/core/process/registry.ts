import type { BaseWorker } from './base-worker.js';

/** Made by the entry script and not yet started, in the order they were made. */
let registered: BaseWorker[] = [];

/** Remembers a worker until `run()` takes it. Called by the constructor of `BaseWorker`. */
export function register(worker: BaseWorker): void {
  registered.push(worker);
}

/** Hands over all that were made since the last call. */
export function takeAll(): readonly BaseWorker[] {
  const taken = registered;
  registered = [];
  return taken;
}

/** Forgets the given ones, which somebody starts by an explicit list. */
export function forget(workers: readonly BaseWorker[]): void {
  registered = registered.filter((worker) => !workers.includes(worker));
}
