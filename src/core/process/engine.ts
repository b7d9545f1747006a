import type { ConnectionRow, ServiceStatus } from './status.js';

/** One process of a service, as the service sees it. */
export interface ProcessState {
  /** Name of its worker. */
  readonly worker: string;
  /** Number of this process within the worker. */
  readonly id: number;
  /** Undefined while it waits to be started again. */
  readonly pid: number | undefined;
  /** `leaving`: it finishes what it has; where another process has its place, that one is listed too. */
  readonly state: 'starting' | 'ready' | 'waiting' | 'leaving' | 'ended';
  /** How often it had to be started again; a reload does not count. */
  readonly restarts: number;
  /** One process after another has died shortly after its start: what the last one died of. Null: it is not so. */
  readonly crashLoop: string | null;
}

export interface ReloadOptions {
  /** Old processes are left until their connections have ended by themselves. Default false. */
  readonly graceful?: boolean;
  /** Names of the workers to reload, also of such as a reload keeps; null, the default, is all that are reloadable. */
  readonly workers?: readonly string[] | null;
}

export interface ReloadResult {
  /** Processes that were replaced, and processes that were told of the reload and kept. */
  readonly replaced: number;
  readonly kept: number;
}

/** A way to run workers: many processes under a master, or all in this process. */
export interface Engine {
  /** @throws StartError with nothing left running; never settles when `stop` comes in between */
  start(): Promise<void>;
  /**
   * In order. Further calls get the same promise, and a call that is not graceful hurries one that is.
   *
   * @param graceful default false: over after the `stopTimeout` at the latest; true: once all connections have ended by
   *   themselves
   */
  stop(graceful?: boolean): Promise<void>;
  /**
   * Replaces processes one by one, where it can be with the new one ready before the old one leaves. One reload at a
   * time: a further call waits for its turn.
   *
   * @throws ReloadError the old processes from the failed one on are kept, and go on
   */
  reload(options?: ReloadOptions): Promise<ReloadResult>;
  /** Ends everything now, without asking. */
  kill(): void;
  processes(): readonly ProcessState[];
  /** Asks all processes at once; one that does not answer within a second is shown without figures. */
  status(): Promise<ServiceStatus>;
  /** All connections of all processes that answer within a second, in parts of bounded size. */
  connections(): AsyncIterable<readonly ConnectionRow[]>;
}
