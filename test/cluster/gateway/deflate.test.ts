import { Buffer } from 'node:buffer';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Gateway } from '../../../src/cluster/gateway/mod.js';
import { Command, FLAG_BINARY, FLAG_RAW, FLAG_SCALAR } from '../../../src/cluster/protocol/mod.js';
import { request, SAMPLE_REQUEST } from '../../support/client-frames.js';
import { eventually } from '../../support/eventually.js';
import { startGateway, type TestGateway } from '../../support/gateway-link.js';
import { dial, type TcpPeer } from '../../support/tcp-peer.js';
import { WsClient } from '../../support/ws-client.js';

vi.mock('node:zlib', async (original) => {
  const zlib = await original<typeof import('node:zlib')>();
  return { ...zlib, deflateRawSync: vi.fn(zlib.deflateRawSync) };
});

const NEWS = 'It was a bright cold day in April, and the clocks were striking thirteen. '.repeat(40);
const PLAIN_BYTES = 4 + NEWS.length;

beforeEach(() => void vi.mocked(deflateRawSync).mockClear());

/** Clients that have finished their handshakes; null: one that offers nothing. */
async function clientsOf(gateway: TestGateway, offers: readonly (string | null)[]): Promise<TcpPeer[]> {
  gateway.link.join();
  const peers: TcpPeer[] = [];
  for (const offer of offers) {
    const peer = await dial(gateway.port);
    peer.write(request(offer === null ? SAMPLE_REQUEST : [...SAMPLE_REQUEST, `Sec-WebSocket-Extensions: ${offer}`]));
    await peer.received('\r\n\r\n');
    peers.push(peer);
  }
  return peers;
}

const framesOf = (peer: TcpPeer) => peer.bytes.subarray(peer.text.indexOf('\r\n\r\n') + 4);

function inflated(frame: Buffer): string {
  expect(frame[0]).toBe(0xc1);
  const payload = frame.subarray(frame[1] === 126 ? 4 : 2);
  return inflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).toString();
}

describe('a broadcast, where messages are compressed', () => {
  it('is compressed once for all that have agreed to the same, and plain for who has not', async () => {
    await using gateway = await startGateway({ perMessageDeflate: true }, { scheme: 'websocket' });
    const offers = ['permessage-deflate', null, 'permessage-deflate; client_max_window_bits', 'permessage-deflate'];
    const peers = await clientsOf(gateway, offers);
    gateway.link.command(Command.SEND_TO_ALL, 0, '', NEWS);
    await eventually('all frames', () => peers.every((peer) => framesOf(peer).length > 0));
    const [first, plain, ...others] = peers as [TcpPeer, TcpPeer, TcpPeer, TcpPeer];
    await eventually('the plain frame', () => framesOf(plain).length === PLAIN_BYTES);
    expect(framesOf(plain).subarray(0, 2)).toEqual(Buffer.of(0x81, 126));
    expect(inflated(framesOf(first))).toBe(NEWS);
    for (const other of others) expect(framesOf(other)).toEqual(framesOf(first));
    expect(deflateRawSync).toHaveBeenCalledTimes(1);
  });

  it('is compressed once too where it is larger than what is remembered', async () => {
    await using gateway = await startGateway({ perMessageDeflate: true }, { scheme: 'websocket' });
    const peers = await clientsOf(gateway, ['permessage-deflate', 'permessage-deflate', 'permessage-deflate']);
    gateway.link.command(Command.SEND_TO_ALL, 0, '', NEWS.repeat(100));
    await eventually('the frames', () => peers.every((peer) => framesOf(peer).length > 1000));
    expect(deflateRawSync).toHaveBeenCalledTimes(1);
  });

  it('is compressed again for another window, to a group and to a uid alike', async () => {
    await using gateway = await startGateway({ perMessageDeflate: true }, { scheme: 'websocket' });
    const narrow = 'permessage-deflate; server_max_window_bits=10';
    const peers = await clientsOf(gateway, ['permessage-deflate', narrow, narrow]);
    for (const id of [1, 2, 3]) gateway.link.command(Command.JOIN_GROUP, id, 'g');
    gateway.link.command(Command.SEND_TO_GROUP, 0, '{"group":["g"],"exclude":{"3":3}}', NEWS);
    await eventually('the frames', () => peers.slice(0, 2).every((peer) => framesOf(peer).length > 0));
    expect(peers.slice(0, 2).map((peer) => inflated(framesOf(peer)))).toEqual([NEWS, NEWS]);
    expect(deflateRawSync).toHaveBeenCalledTimes(2);
    gateway.link.command(Command.BIND_UID, 3, 'u');
    gateway.link.command(Command.SEND_TO_UID, 0, '["u"]', NEWS);
    await eventually('the frame', () => framesOf(peers[2] as TcpPeer).length > 0);
    expect(inflated(framesOf(peers[2] as TcpPeer))).toBe(NEWS);
  });

  it('is plain for all where it is short, and compresses nothing where nobody has agreed', async () => {
    await using gateway = await startGateway({ perMessageDeflate: true }, { scheme: 'websocket' });
    const [agreed, plain] = (await clientsOf(gateway, ['permessage-deflate', null])) as [TcpPeer, TcpPeer];
    gateway.link.command(Command.SEND_TO_ALL, 0, '', 'short');
    gateway.link.command(Command.SEND_TO_ONE, 2, '', NEWS);
    await eventually('the frames', () => framesOf(plain).length === 7 + PLAIN_BYTES);
    await agreed.received('\x81\x05short');
    expect(deflateRawSync).not.toHaveBeenCalled();
  });

  it('stands in the order of what else was sent, and raw sends stay raw', async () => {
    await using gateway = await startGateway({ perMessageDeflate: true }, { scheme: 'websocket' });
    gateway.link.join();
    await using client = await WsClient.open(gateway.port);
    expect(client.socket.extensions).toBe('permessage-deflate');
    const { link } = gateway;
    link.command(Command.SEND_TO_ALL, 0, '', 'a');
    link.command(Command.SEND_TO_ALL, 0, '', NEWS);
    link.command(Command.SEND_TO_ONE, 1, '', `1${NEWS}`);
    link.command(Command.SEND_TO_ONE, 1, '', Buffer.from(NEWS), FLAG_SCALAR | FLAG_BINARY);
    link.command(Command.SEND_TO_ALL, 0, '', Buffer.of(0x81, 1, 0x72), FLAG_SCALAR | FLAG_RAW);
    link.command(Command.SEND_TO_ALL, 0, '', `2${NEWS}`);
    await eventually('the messages', () => client.messages.length === 6);
    expect(client.texts).toEqual(['a', NEWS, `1${NEWS}`, NEWS, 'r', `2${NEWS}`]);
    expect(client.messages[3]?.binary).toBe(true);
    expect(deflateRawSync).toHaveBeenCalledTimes(4);
  });
});

describe('compressed messages of clients', () => {
  it('reach the worker inflated', async () => {
    await using gateway = await startGateway({ perMessageDeflate: true }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    await using client = await WsClient.open(gateway.port);
    for (const text of ['short', NEWS, NEWS]) client.socket.send(text, { compress: true });
    await eventually('the messages', () => worker.bodies(Command.ON_MESSAGE).length === 3);
    expect(worker.bodies(Command.ON_MESSAGE)).toEqual(['short', NEWS, NEWS]);
  });
});

describe('perMessageDeflate', () => {
  it('is refused where it is wrong, and beside a protocol that knows no compression', () => {
    const make = (address: string, perMessageDeflate: unknown) => () =>
      new Gateway(address, { perMessageDeflate: perMessageDeflate as boolean });
    expect(make('websocket://0.0.0.0:0', { treshold: 1 })).toThrow(
      "Gateway, perMessageDeflate: unknown option 'treshold'; did you mean 'threshold'?",
    );
    expect(make('websocket://0.0.0.0:0', { serverMaxWindowBits: 8 })).toThrow(/integer from 9 to 15, got 8$/);
    expect(make('websocket://0.0.0.0:0', 1)).toThrow(/'perMessageDeflate' must be true, false or an object/);
    expect(make('text://0.0.0.0:0', true)).toThrow(/perMessageDeflate goes with websocket:\/\//);
    expect(make('text://0.0.0.0:0', false)).not.toThrow();
  });
});
