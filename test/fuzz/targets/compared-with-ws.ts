import { Buffer } from 'node:buffer';
import type { Writable } from 'node:stream';
import * as ws from 'ws';
import type { CodecLimits } from '../../../src/core/protocols/mod.js';
import type { SinkEvent } from '../../support/recording-sink.js';

/** What the types of `ws` leave out. */
const { Receiver, PerMessageDeflate } = ws as unknown as {
  readonly Receiver: new (options: object) => Writable;
  readonly PerMessageDeflate: new (options: object) => { accept(offers: readonly object[]): object; cleanup(): void };
};

/** What one side made of the frames: messages, pings and pongs in order, and how it ended. */
interface Reading {
  readonly said: readonly string[];
  /** Code of the close frame that came; null: there was none. */
  readonly closed: number | null;
  /** Code of the error; null: there was none. */
  readonly failed: string | null;
}

/** RFC 6455 section 5.2 wants the shortest form of a length; ws takes any. */
const STRICTER = 'GW_WEBSOCKET_LENGTH';
/** Ours alone, and in time for a peer to see: a text is refused at the byte that spoils it, a fragment before it has come whole. */
const EARLIER: ReadonlySet<string> = new Set(['GW_WEBSOCKET_UTF8', 'GW_WEBSOCKET_FRAGMENTS', 'GW_PACKAGE_TOO_LARGE']);

/** Theirs alone: the header of a close frame of one byte is refused before the byte has come. */
const EARLIER_AT_WS = 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH';

/** Compares what we made of frames with what the receiver of `ws` makes of them. */
export function comparedWithWs(
  bytes: Buffer,
  events: readonly SinkEvent[],
  limits: CodecLimits,
  deflate: boolean,
): void | Promise<void> {
  const mine = ours(events);
  return deflate
    ? inflatedByWs(bytes, limits).then((theirs) => compare(mine, theirs))
    : compare(mine, readByWs(bytes, limits));
}

function compare(mine: Reading, theirs: Reading): void {
  const shown = `${JSON.stringify(mine)}\nws: ${JSON.stringify(theirs)}`;
  const common = Math.min(mine.said.length, theirs.said.length);
  for (let index = 0; index < common; index++) {
    if (mine.said[index] !== theirs.said[index]) throw new Error(`the ${index}. is another one: ${shown}`);
  }
  if (mine.failed === STRICTER) return;
  // What is left of an inflater's stream behind its final block is read by us, and refused or left out by ws.
  if (mine.failed === 'GW_WEBSOCKET_DEFLATE' || theirs.failed?.startsWith('Z_')) return;
  if (mine.failed !== null && EARLIER.has(mine.failed) && mine.said.length <= theirs.said.length) return;
  if (mine.said.length !== theirs.said.length) throw new Error(`one has said more: ${shown}`);
  if (mine.closed !== theirs.closed) throw new Error(`closed differently: ${shown}`);
  if (mine.failed === null && theirs.failed === EARLIER_AT_WS) return;
  if ((mine.failed === null) !== (theirs.failed === null)) throw new Error(`one has failed: ${shown}`);
}

function ours(events: readonly SinkEvent[]): Reading {
  const said: string[] = [];
  let closed: number | null = null;
  let failed: string | null = null;
  for (const event of events) {
    if (event[0] === 'message') said.push(`${event[2] ? 'binary' : 'text'} ${event[1]}`);
    else if (event[0] === 'pong') said.push(`pong ${event[1]}`);
    else if (event[0] === 'write' && event[1].startsWith('\x8a')) said.push(`ping ${event[1].slice(2)}`);
    else if (event[0] === 'ended') closed = event[1];
    else if (event[0] === 'fail') failed = event[1];
  }
  return { said, closed, failed };
}

/** Synchronous, because nothing is compressed. */
function readByWs(bytes: Buffer, limits: CodecLimits): Reading {
  const reading = new WsReading(limits, {});
  reading.receiver.write(Buffer.from(bytes));
  return reading.result;
}

async function inflatedByWs(bytes: Buffer, limits: CodecLimits): Promise<Reading> {
  const deflate = new PerMessageDeflate({ isServer: true, maxPayload: limits.maxPackageSize });
  deflate.accept([{ client_no_context_takeover: [true], server_no_context_takeover: [true] }]);
  const reading = new WsReading(limits, { 'permessage-deflate': deflate });
  await new Promise<void>((resolve) => {
    reading.receiver.once('error', () => resolve());
    reading.receiver.write(Buffer.from(bytes), () => resolve());
  });
  deflate.cleanup();
  return reading.result;
}

class WsReading {
  readonly receiver: Writable;
  readonly #said: string[] = [];
  #closed: number | null = null;

  constructor({ maxPackageSize, maxFragments }: CodecLimits, extensions: object) {
    this.receiver = new Receiver({ isServer: true, maxPayload: maxPackageSize, maxFragments, extensions });
    const say = (what: string) => (data: Buffer) => void this.#said.push(`${what} ${data.toString('latin1')}`);
    this.receiver.on('message', (data: Buffer, binary: boolean) => say(binary ? 'binary' : 'text')(data));
    this.receiver.on('ping', say('ping'));
    this.receiver.on('pong', say('pong'));
    this.receiver.on('conclude', (code: number) => {
      this.#closed = code;
    });
    this.receiver.on('error', () => {});
  }

  get result(): Reading {
    const { errored } = this.receiver;
    const code = errored === null ? null : ((errored as NodeJS.ErrnoException).code ?? errored.message);
    return { said: this.#said, closed: this.#closed, failed: code };
  }
}
