import { type Logger, LogThrottle } from '../../../util/mod.js';
import { ipToNumber, workerConnectLine } from '../../protocol/mod.js';
import { RegisterClient, type RegisterFigures, type RegisterOutcome, registerFigures } from './register-client.js';

/** A register that came back knows the gateways when they have come back to it: they try once a second at least. */
const SETTLE_MS = 3000;

/** A gateway's address as announced, taken apart. */
export interface GatewayAddress {
  /** `ip:port` */
  readonly address: string;
  readonly host: string;
  readonly localIp: number;
  readonly localPort: number;
}

export interface AnnouncedGatewaysOptions {
  readonly registerAddresses: readonly string[];
  readonly secretKey: string;
  /** Seconds a connection to a register may take to be made; default 3. */
  readonly connectTimeout?: number;
  /** All gateways that are announced now, by address. */
  readonly onChange: (all: ReadonlyMap<string, GatewayAddress>) => void;
  readonly logger: Logger;
}

/**
 * What the Registers say, put together: a gateway is announced when any of them lists it. The original takes the list of
 * whichever spoke last for the whole truth.
 *
 * A register that is away keeps counting with its last list: what it said is most likely still true. One that came back
 * does not know yet who there is, so what it said before counts for three more seconds.
 */
export class AnnouncedGateways {
  readonly #options: AnnouncedGatewaysOptions;
  readonly #registers: RegisterClient[] = [];
  readonly #lists = new Map<string, readonly string[]>();
  /** What registers that have just come back had said before. */
  readonly #before = new Map<string, readonly string[]>();
  readonly #settling = new Map<string, NodeJS.Timeout>();
  readonly #throttle = new LogThrottle();

  constructor(options: AnnouncedGatewaysOptions) {
    this.#options = options;
  }

  start(): void {
    const { registerAddresses, secretKey, connectTimeout, logger } = this.#options;
    for (const address of registerAddresses) {
      const client = new RegisterClient({
        address,
        joinLine: () => workerConnectLine(secretKey),
        onAddresses: (addresses, anew) => this.#listed(address, addresses, anew),
        connectTimeout,
        logger,
      });
      this.#registers.push(client);
      client.start();
    }
  }

  stop(): void {
    for (const register of this.#registers) register.stop();
    for (const timer of this.#settling.values()) clearTimeout(timer);
    this.#settling.clear();
  }

  get registers(): RegisterFigures {
    return registerFigures(this.#registers);
  }

  /** A register has said who there is. */
  get answered(): boolean {
    return this.#lists.size > 0;
  }

  /** Register address → what came of asking it. */
  get outcomes(): ReadonlyMap<string, RegisterOutcome> {
    return new Map(
      this.#options.registerAddresses.map((address, index) => [
        address,
        this.#registers[index]?.outcome ?? { state: 'trying', text: 'not asked' },
      ]),
    );
  }

  #listed(register: string, addresses: readonly string[], anew: boolean): void {
    const before = this.#lists.get(register);
    if (anew && before !== undefined) this.#settle(register, before);
    this.#lists.set(register, addresses);
    this.#tell();
  }

  #settle(register: string, before: readonly string[]): void {
    // One that comes back twice in that time still owes what it had said before the first.
    this.#before.set(register, [...new Set([...(this.#before.get(register) ?? []), ...before])]);
    clearTimeout(this.#settling.get(register));
    const settled = () => {
      this.#settling.delete(register);
      this.#before.delete(register);
      this.#tell();
    };
    this.#settling.set(register, setTimeout(settled, SETTLE_MS).unref());
  }

  #tell(): void {
    const all = new Map<string, GatewayAddress>();
    for (const lists of [this.#lists, this.#before]) {
      for (const list of lists.values()) {
        for (const address of list) {
          const parsed = all.get(address) ?? this.#parse(address);
          if (parsed !== undefined) all.set(address, parsed);
        }
      }
    }
    this.#options.onChange(all);
  }

  /** One spelling each: under two the same gateway would get two links, and each would push the other one out. */
  #parse(address: string): GatewayAddress | undefined {
    const match = /^(\d+\.\d+\.\d+\.\d+):([1-9]\d*)$/.exec(address);
    const host = match?.[1] ?? '';
    const localIp = ipToNumber(host);
    const localPort = Number(match?.[2]);
    if (localIp !== undefined && localPort <= 65_535) return { address, host, localIp, localPort };
    const passed = this.#throttle.pass('address', performance.now(), { address });
    const message = 'the register lists a gateway address that is not ip:port; it is ignored';
    if (passed !== null) this.#options.logger.warn(message, passed);
    return undefined;
  }
}
