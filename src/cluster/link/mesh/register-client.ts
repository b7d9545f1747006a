import type { Buffer } from 'node:buffer';
import {
  CONNECTION_LIMITS,
  ConnectionCounters,
  type ConnectionLimits,
  type ConnectionOwner,
  connectTcp,
  type LinkTlsOptions,
  parseHostPort,
  type TcpConnection,
} from '../../../core/net/mod.js';
import { type Codec, textCodec } from '../../../core/protocols/mod.js';
import { type GatewayWorkerError, type Logger, LogThrottle, messageOf } from '../../../util/mod.js';
import { parseRegisterLine, pingLine } from '../../protocol/mod.js';
import { Redial } from './redial.js';

/** As in the original, so that a firewall between hosts does not forget the connection. */
const PING_MS = 25_000;

const CONNECTED = 'connected to the register';

/** Lines, under a name that tells them from those of a client. */
const registerCodec: Codec = Object.freeze({ ...textCodec, name: 'register' });

/** As in the original. */
const CONNECT_SECONDS = 3;

export interface RegisterClientOptions {
  /** `host:port` */
  readonly address: string;
  readonly linkTls?: LinkTlsOptions | null;
  /** Says who we are, each time the connection is made. Ends with LF. */
  readonly joinLine: () => string;
  /** The register has sent the list of gateways; `anew`: the first one since the connection was made. */
  readonly onAddresses: ((addresses: readonly string[], anew: boolean) => void) | null;
  /** The connection has ended, after a list came on it. */
  readonly onAway?: () => void;
  /** Seconds the connection may take to be made; default 3. */
  readonly connectTimeout?: number;
  readonly logger: Logger;
}

/** What has come of asking a register: the latest that is known. */
export interface RegisterOutcome {
  /**
   * - `trying`: nothing is known yet
   * - `silent`: connected, and it has said nothing that is understood
   * - `refused`: it hung up instead of answering
   * - `unreachable`: it can't be connected to, or the connection was lost
   */
  readonly state: 'trying' | 'silent' | 'refused' | 'unreachable' | 'answered';
  /** For people. */
  readonly text: string;
}

/** The connection that a gateway or worker keeps to one Register; made again whenever it ends. */
export class RegisterClient implements ConnectionOwner {
  readonly counters = new ConnectionCounters();
  readonly #options: RegisterClientOptions;
  readonly #throttle = new LogThrottle();
  readonly #redial = new Redial(
    () => this.#dial(),
    () => this.#report('info', CONNECTED),
  );
  readonly #limits: ConnectionLimits;
  /** The latest that came of it. */
  outcome: RegisterOutcome = TRYING;
  /** Lines that were not understood. */
  ignored = 0;
  #connection: TcpConnection | null = null;
  /** On this connection: it was made, and a list came. */
  #joined = false;
  #answered = false;
  #ping: NodeJS.Timeout | null = null;
  #stopped = false;
  /** What the log said last, so that a register that stays away is one line, not one a second. */
  #reported = '';

  constructor(options: RegisterClientOptions) {
    this.#options = options;
    this.#limits = Object.freeze({ ...CONNECTION_LIMITS, handshakeTimeout: options.connectTimeout ?? CONNECT_SECONDS });
  }

  /** It is connected, and has been told who we are. */
  get up(): boolean {
    return this.#joined;
  }

  get connection(): TcpConnection | null {
    return this.#connection;
  }

  start(): void {
    this.#dial();
    // The original's rule, by the text of the address: only a register on another host is pinged.
    if (!this.#options.address.startsWith('127.0.0.1')) {
      this.#ping = setInterval(() => this.#connection?.send(pingLine(), RAW), PING_MS).unref();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#redial.stop();
    if (this.#ping !== null) clearInterval(this.#ping);
    // Nothing is owed to a register, and one that does not hang up must not hold us.
    this.#connection?.destroy();
  }

  onOpen(connection: TcpConnection): void {
    connection.send(this.#options.joinLine(), RAW);
    this.#joined = true;
    // One that refuses us is connected to again and again: what it did says more than that it has not done it yet.
    if (this.outcome.state !== 'refused') this.outcome = SILENT;
    this.#redial.connected();
    // After failures only when it lasts: one that refuses our key would be two lines a second.
    if (!this.#redial.remarkable) this.#report('debug', CONNECTED);
  }

  onBytes(_connection: TcpConnection, buffer: Buffer, start: number, end: number): void {
    const message = parseRegisterLine(buffer.toString('utf8', start, end));
    if ('fault' in message) {
      this.#ignored(message.fault);
    } else if (message.event === 'broadcast_addresses') {
      this.#redial.proven();
      this.outcome = ANSWERED;
      const anew = !this.#answered;
      this.#answered = true;
      this.#options.onAddresses?.(message.addresses, anew);
    }
  }

  onValue(): void {}

  onHandshake(): boolean {
    return true;
  }

  onFail(_connection: TcpConnection, error: GatewayWorkerError): void {
    this.#report('warn', error.message);
  }

  onFull(): void {}

  onDrain(): void {}

  onClose(_connection: TcpConnection, error: Error | null): void {
    this.#connection = null;
    if (this.#joined && !this.#answered) this.outcome = REFUSED;
    else this.outcome = { state: 'unreachable', text: error === null ? 'the connection was closed' : messageOf(error) };
    const answered = this.#answered;
    this.#joined = false;
    this.#answered = false;
    if (this.#stopped) return;
    this.#redial.later();
    if (answered) this.#options.onAway?.();
    if (!this.#redial.remarkable) return;
    this.#report(
      'warn',
      error === null
        ? 'the register closed the connection (if this repeats: is the secretKey the same?); trying again'
        : `the register can't be reached: ${error.message}; trying again`,
    );
  }

  #dial(): void {
    const { host, port } = parseHostPort(this.#options.address);
    this.#connection = connectTcp(host, port, registerCodec, this, this.#limits, this.#options.linkTls);
  }

  /** A Register explains itself so before it hangs up; something else may talk for ever. */
  #ignored(fault: string): void {
    this.ignored++;
    const { address: register, logger } = this.#options;
    const passed = this.#throttle.pass(fault, performance.now(), { register, fault });
    if (passed !== null) logger.warn('the register sent a line that is not understood; it is ignored', passed);
  }

  #report(level: 'debug' | 'info' | 'warn', message: string): void {
    if (this.#reported === message) return;
    this.#reported = message;
    this.#options.logger[level](message, { register: this.#options.address });
  }
}

const RAW = { raw: true } as const;

const TRYING: RegisterOutcome = { state: 'trying', text: 'no connection yet' };
const SILENT: RegisterOutcome = { state: 'silent', text: 'connected, but it does not answer as a Register does' };
const REFUSED: RegisterOutcome = {
  state: 'refused',
  text: 'it closed the connection without an answer: is the secretKey the same?',
};
const ANSWERED: RegisterOutcome = { state: 'answered', text: 'it answered' };

/** What several of them add to the figures of a link. */
export interface RegisterFigures {
  readonly up: number;
  readonly down: number;
  /** Lines that were not understood, or too long. */
  readonly protocolErrors: number;
  readonly connections: readonly TcpConnection[];
}

export function registerFigures(clients: readonly RegisterClient[]): RegisterFigures {
  const up = clients.filter((client) => client.up).length;
  return {
    up,
    down: clients.length - up,
    protocolErrors: clients.reduce((sum, { ignored, counters }) => sum + ignored + counters.protocolErrors, 0),
    connections: clients.map(({ connection }) => connection).filter((connection) => connection !== null),
  };
}
