/** One process of a service, as the service sees it. */
export interface ProcessState {
  /** Name of its worker. */
  readonly worker: string;
  /** Number of this process within the worker. */
  readonly id: number;
  /** Undefined while it waits to be started again. */
  readonly pid: number | undefined;
  readonly state: 'starting' | 'ready' | 'waiting' | 'ended';
  /** How often it had to be started again. */
  readonly restarts: number;
}

/** A way to run workers: many processes under a master, or all in this process. */
export interface Engine {
  /** @throws StartError with nothing left running; never settles when `stop` comes in between */
  start(): Promise<void>;
  /** In order, over after the `stopTimeout` at the latest. Further calls get the same promise. */
  stop(): Promise<void>;
  /** Ends everything now, without asking. */
  kill(): void;
  processes(): readonly ProcessState[];
}
