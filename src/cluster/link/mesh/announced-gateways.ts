import type { LinkTlsOptions } from '../../../core/net/mod.js';
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
  readonly linkTls?: LinkTlsOptions | null;
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
 * A register that is away keeps counting with its last list: what it said is most likely still true, but for gateways that
 * another one has taken back since. Where a host dies with its register and its gateways, nobody else can tell of them. One
 * that came back does not know yet who there is, so what it said before counts for three more seconds.
 */
export class AnnouncedGateways {
  readonly #options: AnnouncedGatewaysOptions;
  readonly #registers = new Map<string, RegisterClient>();
  readonly #lists = new Map<string, readonly string[]>();
  /** What registers that have just come back had said before. */
  readonly #before = new Map<string, readonly string[]>();
  readonly #settling = new Map<string, NodeJS.Timeout>();
  /** Listed by some register still, taken back by another after that. */
  readonly #takenBack = new Set<string>();
  readonly #throttle = new LogThrottle();

  constructor(options: AnnouncedGatewaysOptions) {
    this.#options = options;
  }

  start(): void {
    const { registerAddresses, secretKey, linkTls, connectTimeout, logger } = this.#options;
    for (const address of new Set(registerAddresses)) {
      const client = new RegisterClient({
        address,
        joinLine: () => workerConnectLine(secretKey),
        onAddresses: (addresses, anew) => this.#listed(address, addresses, anew),
        onAway: () => this.#tell(),
        connectTimeout,
        linkTls,
        logger,
      });
      this.#registers.set(address, client);
      client.start();
    }
  }

  stop(): void {
    for (const register of this.#registers.values()) register.stop();
    for (const timer of this.#settling.values()) clearTimeout(timer);
    this.#settling.clear();
  }

  get registers(): RegisterFigures {
    return registerFigures([...this.#registers.values()]);
  }

  /** A register has said who there is. */
  get answered(): boolean {
    return this.#lists.size > 0;
  }

  /** Register address → what came of asking it. */
  get outcomes(): ReadonlyMap<string, RegisterOutcome> {
    return new Map(
      this.#options.registerAddresses.map((address) => [
        address,
        this.#registers.get(address)?.outcome ?? { state: 'trying', text: 'not asked' },
      ]),
    );
  }

  #listed(register: string, addresses: readonly string[], anew: boolean): void {
    const before = this.#lists.get(register);
    this.#lists.set(register, addresses);
    for (const address of addresses) this.#takenBack.delete(address);
    if (before !== undefined) {
      if (anew) this.#settle(register, before);
      else this.#takeBack(register, before);
    }
    this.#tell();
  }

  #settle(register: string, before: readonly string[]): void {
    // One that comes back twice in that time still owes what it had said before the first.
    this.#before.set(register, [...new Set([...(this.#before.get(register) ?? []), ...before])]);
    clearTimeout(this.#settling.get(register));
    const settled = () => {
      this.#settling.delete(register);
      this.#takeBack(register, this.#before.get(register) ?? []);
      this.#before.delete(register);
      this.#tell();
    };
    this.#settling.set(register, setTimeout(settled, SETTLE_MS).unref());
  }

  /** The register has listed these before, and lists not all of them any more. */
  #takeBack(register: string, before: readonly string[]): void {
    const lists = [...this.#lists.values()];
    for (const address of before) {
      if (this.#lists.get(register)?.includes(address)) continue;
      if (lists.some((list) => list.includes(address))) this.#takenBack.add(address);
      else this.#takenBack.delete(address);
    }
  }

  #tell(): void {
    const all = new Map<string, GatewayAddress>();
    for (const lists of [this.#lists, this.#before]) {
      for (const [register, list] of lists) {
        const away = this.#registers.get(register)?.outcome.state !== 'answered';
        for (const address of list) {
          if (away && this.#takenBack.has(address)) continue;
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
