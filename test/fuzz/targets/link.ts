import { Buffer } from 'node:buffer';
import { AbsentGroups } from '../../../src/cluster/link/mod.js';
import {
  byteKey,
  Command,
  PacketReader,
  type PacketView,
  parseBusyBody,
  parseConnectBody,
  parseGroupExt,
  parseSelectExt,
  parseSendToAllExt,
  parseUidList,
  ReplyReader,
  workerConnectBody,
  writePacket,
  writeReply,
} from '../../../src/cluster/protocol/mod.js';
import { vectors } from '../../cluster/protocol/support.js';
import { written } from '../../support/encoded.js';
import { packetBytes } from '../../support/gateway-link.js';
import { cut, type Random, type Target } from '../target.js';

const LIMIT = 4000;

interface Packet {
  readonly direction?: string;
  readonly hex: string;
  readonly reply?: { readonly hex: string };
}

const recorded = vectors<Packet>('gateway-protocol');
const hex = ({ hex: text }: { readonly hex: string }) => Buffer.from(text, 'hex');

/** Packets of every kind, as they were recorded and as our extensions are written down. */
export const PACKETS: readonly Buffer[] = distinct([
  ...recorded.filter(({ direction }) => direction !== undefined).map(hex),
  ...vectors<Packet>('draining').map(hex),
  ...vectors<Packet>('groups').map(hex),
  ...vectors<Packet>('acknowledgements').map(hex),
]);

/** Payloads of recorded answers. */
export const ANSWERS: readonly Buffer[] = distinct(
  recorded.flatMap(({ reply }) => (reply === undefined ? [] : [hex(reply).subarray(4)])),
);

const exts = PACKETS.flatMap((bytes) => {
  const { ext } = partsOf(bytes);
  return ext.length > 0 ? [ext] : [];
});
const connectBodies = [
  Buffer.from(
    workerConnectBody('ChatWorker:0', 'secret', { extensions: ['binary', 'draining', 'groups', 'acknowledgements'] }),
  ),
  Buffer.from('{"extensions":["binary"]}'),
];

export const LINK: readonly Target[] = [
  { name: 'link-packets', seeds: PACKETS, run: packets },
  {
    name: 'link-answers',
    seeds: ANSWERS.map((payload) => written((out) => writeReply(out, payload))),
    run: answers,
  },
  { name: 'link-ext', seeds: distinct(exts), run: ext },
  {
    name: 'link-connect',
    seeds: connectBodies,
    run: (bytes) => {
      const body = parseConnectBody(bytes.toString());
      if (body !== undefined && typeof body.workerKey !== 'string') throw new Error('a key that is no text');
    },
  },
  {
    name: 'absent-groups',
    seeds: [packetBytes(Command.ABSENT, 1, 'lobby'), packetBytes(Command.PRESENT, 2, 'lobby')],
    run: absent,
  },
];

function packets(bytes: Buffer, random: Random): void {
  const whole = packetsOf([bytes]);
  const pieces = packetsOf(cut(bytes, random));
  if (pieces !== whole) throw new Error(`in pieces: ${pieces}\nwhole: ${whole}`);
}

/** Everything that packets become; what is written again must be the bytes that came. */
function packetsOf(pieces: readonly Buffer[]): string {
  const said: string[] = [];
  const reader = new PacketReader({ maxPacketSize: LIMIT });
  const sink = {
    packet: (view: PacketView) => {
      const { buffer, extStart, bodyEnd } = view;
      const again = written((out) => writePacket(out, view, view.extBytes(), view.bodyBytes()));
      if (!again.equals(buffer.subarray(extStart - 28, bodyEnd)))
        throw new Error(`written as ${again.toString('hex')}`);
      const ids = parseBusyBody(view);
      if (ids !== undefined && ids.length * 4 !== bodyEnd - view.bodyStart) throw new Error('other ids than came');
      said.push(again.toString('hex'));
      return said.length % 3 > 0;
    },
    fail: ({ code }: { readonly code: string }) => void said.push(code),
  };
  for (const piece of pieces) {
    reader.push(Buffer.from(piece), sink);
    for (let before = -1; before < said.length; ) {
      before = said.length;
      reader.resume(sink);
    }
    if (reader.held > LIMIT) throw new Error(`${reader.held} bytes are held`);
  }
  return said.join();
}

function answers(bytes: Buffer, random: Random): void {
  const read = (pieces: readonly Buffer[]) => {
    const said: string[] = [];
    const reader = new ReplyReader({ maxReplySize: LIMIT });
    for (const piece of pieces) {
      reader.push(Buffer.from(piece), {
        reply: (buffer, start, end) => said.push(buffer.toString('hex', start, end)) > 0,
        fail: ({ code }) => void said.push(code),
      });
    }
    return said.join();
  };
  if (read(cut(bytes, random)) !== read([bytes])) throw new Error('in pieces it is something else');
}

/** Every reader of ext_data. The short way to one group must give what the long one gives, which a blank in front leads to. */
function ext(bytes: Buffer): void {
  const text = bytes.toString();
  parseUidList(text);
  const all = parseSendToAllExt(text);
  for (const id of [...(all?.connections ?? []), ...(all?.exclude ?? [])]) {
    if (!(Number.isInteger(id) && id >= 0 && id <= 0xffff_ffff)) throw new Error(`${id} is no connection id`);
  }
  parseSelectExt(text);
  const short = JSON.stringify(parseGroupExt(text));
  const long = JSON.stringify(parseGroupExt(` ${text}`));
  if (short !== long) throw new Error(`the short way: ${short}, the long one: ${long}`);
}

/** Packets of a gateway among joins of ours: a group that was joined behind what the gateway has read is never believed absent. */
function absent(bytes: Buffer, random: Random): void {
  const groups = new AbsentGroups();
  const view = viewOf(bytes);
  if (view === undefined) return;
  const name = view.buffer.toString('utf8', view.extStart, view.extEnd);
  for (let round = 0; round < 5; round++) {
    const count = random(2) === 0 ? groups.joins : view.connectionId;
    const joins = random(2) === 0;
    if (joins) groups.joining(name);
    if (random(4) === 0) groups.forget();
    const stale = joins && count !== groups.joins;
    view.connectionId = count;
    view.cmd = random(3) > 0 ? Command.ABSENT : Command.PRESENT;
    groups.told(view);
    const key = byteKey(name);
    const told = view.buffer.toString('latin1', view.extStart, view.extEnd);
    if (stale && key === told && groups.hasAll([name])) throw new Error(`'${name}' is believed absent after a join`);
  }
}

/** The first packet; undefined where there is none. */
function viewOf(bytes: Buffer): PacketView | undefined {
  let found: PacketView | undefined;
  new PacketReader().push(bytes, {
    packet: (view) => {
      found = view;
      return false;
    },
    fail: () => {},
  });
  return found;
}

function partsOf(bytes: Buffer): { readonly ext: Buffer; readonly body: Buffer } {
  const view = viewOf(bytes);
  return view === undefined
    ? { ext: Buffer.alloc(0), body: Buffer.alloc(0) }
    : { ext: view.extBytes(), body: view.bodyBytes() };
}

function distinct(list: readonly Buffer[]): Buffer[] {
  return [...new Map(list.map((bytes) => [bytes.toString('latin1'), bytes])).values()];
}
