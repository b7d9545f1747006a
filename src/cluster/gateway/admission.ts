import type { Buffer } from 'node:buffer';
import type { Entrance, TcpConnection } from '../../core/net/mod.js';
import { type HandshakeRefusal, type HandshakeRequest, handshakeRefusal } from '../../core/protocols/mod.js';
import { plainAddress } from '../../util/mod.js';
import { ipToNumber } from '../protocol/mod.js';
import type { GatewayClientEntry } from './context.js';
import type { GatewayConnection } from './gateway-connection.js';
import { THREW, type UserCode } from './user-code.js';

/**
 * Says who may open a WebSocket: true lets in, false refuses with status 403, and an object with its status, headers and a
 * text. Of a promise the handshake waits for, no longer than `handshakeTimeout`; what the client sends meanwhile is held.
 */
export type Authenticate = (
  request: HandshakeRequest,
  client: GatewayConnection,
) => boolean | HandshakeRefusal | Promise<boolean | HandshakeRefusal>;

const FORBIDDEN = handshakeRefusal({ status: 403 });
const FAILED = handshakeRefusal({ status: 500 });

/** The refusal; null: it may come in. */
type Verdict = Buffer | null;

/** Decides about handshakes: where they come from, what page they are of, and who says to be who. */
export class Admission {
  /** Handshakes that `authenticate` has refused, or that it failed for. */
  unauthenticated = 0;
  readonly #entrance: Entrance;
  readonly #authenticate: Authenticate | null;
  readonly #userCode: UserCode;

  constructor(entrance: Entrance, authenticate: Authenticate | null, userCode: UserCode) {
    this.#entrance = entrance;
    this.#authenticate = authenticate;
    this.#userCode = userCode;
  }

  /** @param viewOf what user code gets of a client */
  ask(
    client: GatewayClientEntry,
    request: HandshakeRequest,
    viewOf: (client: GatewayClientEntry) => GatewayConnection,
  ): Verdict | Promise<Verdict> {
    const { connection } = client;
    const refusal = this.#entrance.refusal(connection, request);
    client.clientIp = clientIpOf(connection);
    client.clientPort = connection.remotePort;
    if (refusal !== null || this.#authenticate === null) return refusal;
    const said = this.#userCode.call('authenticate', this.#authenticate, request, viewOf(client));
    if (!(said instanceof Promise)) return this.#verdict(said);
    return said.then(
      (answer) => this.#verdict(answer),
      () => this.#verdict(THREW),
    );
  }

  #verdict(said: unknown): Verdict {
    if (said === true) return null;
    this.unauthenticated++;
    if (said === false) return FORBIDDEN;
    // That it threw has been reported.
    if (said === THREW) return FAILED;
    try {
      if (isRefusal(said)) return handshakeRefusal(said);
      throw new Error('it answered neither true nor false nor an object with a status from 300 to 599');
    } catch (thrown) {
      this.#userCode.failed('authenticate', thrown);
      return FAILED;
    }
  }
}

/** As packets have it: 0 for IPv6. */
export function clientIpOf({ remoteAddress }: TcpConnection): number {
  return ipToNumber(plainAddress(remoteAddress)) ?? 0;
}

function isRefusal(said: unknown): said is HandshakeRefusal {
  if (typeof said !== 'object' || said === null) return false;
  const { status, headers = {}, reason = '' } = said as Partial<HandshakeRefusal>;
  const inRange = Number.isInteger(status) && Number(status) >= 300 && Number(status) <= 599;
  return inRange && typeof headers === 'object' && headers !== null && typeof reason === 'string';
}
