import type { GatewayPeer } from '../link/mod.js';
import { ackNumbers, Command, FLAG_SCALAR, packetHead } from '../protocol/mod.js';

/**
 * Which events of one link are handled, and ACK, which tells the gateway (extension `acknowledgements`). An event that is
 * handled before its turn of the loop is over costs nothing but counting.
 */
export class Acknowledgements {
  /** Events that have come, modulo 2^32. */
  #received = 0;
  #told = 0;
  /** Not handled, and come since the last ACK: the next one names them. */
  readonly #open = new Set<number>();
  /** Handled, and named by an ACK before. */
  readonly #settled = new Set<number>();
  readonly #head = packetHead({ cmd: Command.ACK, flag: FLAG_SCALAR });

  /** An event has come. @returns its number */
  received(): number {
    this.#received = (this.#received + 1) >>> 0;
    return this.#received;
  }

  /** Its handler is still at work, or has not begun. */
  pending(number: number): void {
    this.#open.add(number);
  }

  /** One that was pending is handled. */
  handled(number: number): void {
    if (!this.#open.delete(number)) this.#settled.add(number);
  }

  /** Tells the gateway what has changed. @returns false: it could not be sent; the next one tells it too */
  send(gateway: GatewayPeer): boolean {
    if (!gateway.supports('acknowledgements')) return this.#forget();
    if (this.#told === this.#received && this.#settled.size === 0) return true;
    return this.say(gateway);
  }

  /** The same also when nothing has changed: a sign of life. */
  say(gateway: GatewayPeer): boolean {
    if (!gateway.supports('acknowledgements')) return this.#forget();
    this.#head.connectionId = this.#received;
    const open = ackNumbers(this.#open, this.#open.size);
    const settled = ackNumbers(this.#settled, this.#settled.size);
    if (!gateway.send(this.#head, open, settled)) return false;
    this.#told = this.#received;
    return this.#forget();
  }

  #forget(): boolean {
    this.#open.clear();
    this.#settled.clear();
    return true;
  }
}
