import type { Buffer } from 'node:buffer';
import {
  CONNECTION_LIMITS,
  ConnectionCounters,
  type ConnectionLimits,
  type ConnectionOwner,
  connectTcp,
  parseHostPort,
  type TcpConnection,
} from '../../../core/net/mod.js';
import { textCodec } from '../../../core/protocols/mod.js';
import { type GatewayWorkerError, type Logger, LogThrottle } from '../../../util/mod.js';
import { parseRegisterLine, pingLine } from '../../protocol/mod.js';
import { Redial } from './redial.js';

/** As in the original, so that a firewall between hosts does not forget the connection. */
const PING_MS = 25_000;

const CONNECTED = 'connected to the register';

const LIMITS: ConnectionLimits = Object.freeze({ ...CONNECTION_LIMITS, handshakeTimeout: 3 });

export interface RegisterClientOptions {
  /** `host:port` */
  readonly address: string;
  /** Says who we are, each time the connection is made. Ends with LF. */
  readonly joinLine: () => string;
  /** The register has sent the list of gateways. */
  readonly onAddresses: ((addresses: readonly string[]) => void) | null;
  readonly logger: Logger;
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
  #connection: TcpConnection | null = null;
  #ping: NodeJS.Timeout | null = null;
  #stopped = false;
  /** What the log said last, so that a register that stays away is one line, not one a second. */
  #reported = '';

  constructor(options: RegisterClientOptions) {
    this.#options = options;
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
      this.#options.onAddresses?.(message.addresses);
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
    if (this.#stopped) return;
    this.#redial.later();
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
    this.#connection = connectTcp(host, port, textCodec, this, LIMITS);
  }

  /** A Register explains itself so before it hangs up; something else may talk for ever. */
  #ignored(fault: string): void {
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
