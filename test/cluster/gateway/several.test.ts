import { describe, expect, it } from 'vitest';
import type { Gateway } from '../../../src/cluster/gateway/mod.js';
import type { Protocol } from '../../../src/core/protocols/mod.js';
import { startCluster } from '../../../src/testing/mod.js';
import { eventually } from '../../support/eventually.js';
import { TcpClient } from '../../support/tcp-client.js';
import { WsClient } from '../../support/ws-client.js';

/** JSON behind its length in four bytes; named, as nothing may depend on the name. */
const jsonWithLength = (name: string): Protocol => ({
  name,
  input: (buffer) => (buffer.length < 4 ? 0 : 4 + buffer.readUInt32BE(0)),
  decode: (bytes) => JSON.parse(bytes.toString('utf8', 4)),
  encode: (value) => {
    const json = Buffer.from(JSON.stringify(value));
    const head = Buffer.alloc(4);
    head.writeUInt32BE(json.length);
    return Buffer.concat([head, json]);
  },
});

function packed(value: unknown): Buffer {
  return jsonWithLength('').encode(value) as Buffer;
}

describe('several gateways in one app', () => {
  it('have one business code, which tells them apart by client.gatewayPort', async () => {
    const ports = new Set<number>();
    await using cluster = await startCluster({
      gateways: ['text://127.0.0.1:0', 'websocket://127.0.0.1:0', 'frame://127.0.0.1:0'],
      events: {
        onMessage: (client, message) => {
          ports.add(client.gatewayPort);
          cluster.api.sendToAll(`${message}`);
        },
      },
    });
    const [text, webSocket, frame] = cluster.gateways.map((gateway: Gateway) => gateway.port) as [
      number,
      number,
      number,
    ];
    await using a = await TcpClient.open(text);
    await using b = await WsClient.open(webSocket);
    await using c = await TcpClient.open(frame);
    await eventually('all clients', () => cluster.gateways.every((gateway) => gateway.clientCount === 1));
    a.write('a\n');
    await eventually('a at all', () => a.text === 'a\n' && b.texts.length === 1 && c.text === '\0\0\0\x05a');
    b.socket.send('b');
    await eventually('b at all', () => a.text === 'a\nb\n' && b.texts.length === 2);
    c.write(Buffer.from('\0\0\0\x05c'));
    await a.untilText('a\nb\nc\n');
    await eventually('c at all', () => b.texts.length === 3);
    expect(b.texts).toEqual(['a', 'b', 'c']);
    expect([...ports]).toEqual([text, webSocket, frame]);
  });
});

describe('independent clusters in one process', () => {
  it('know nothing of each other', async () => {
    const started = await Promise.all(
      ['red', 'blue'].map((name) =>
        startCluster({
          secretKey: name,
          events: {
            onMessage: (client, message) => {
              client.bindUid('same');
              client.gateway.sendToAll(`${name} ${message}`);
            },
          },
        }),
      ),
    );
    const [red, blue] = started as [(typeof started)[0], (typeof started)[0]];
    await using _red = red;
    await using _blue = blue;
    await using inRed = await TcpClient.open((red.gateways[0] as Gateway).port);
    await using inBlue = await TcpClient.open((blue.gateways[0] as Gateway).port);
    inRed.write('1\n');
    await inRed.untilText('red 1\n');
    inBlue.write('2\n');
    await inBlue.untilText('blue 2\n');
    expect([await red.api.getAllClientIdCount(), await blue.api.getAllClientIdCount()]).toEqual([1, 1]);
    red.api.sendToUid('same', 'only red');
    await inRed.untilText('red 1\nonly red\n');
    await red.stop();
    await inRed.untilClosed();
    inBlue.write('3\n');
    await inBlue.untilText('blue 2\nblue 3\n');
  });
});

describe('a custom protocol on a gateway port', () => {
  it.each(['json', 'websocket', 'custom'])('carries values both ways, under the name %s', async (name) => {
    const heard: unknown[] = [];
    await using cluster = await startCluster({
      gateways: ['tcp://127.0.0.1:0'],
      gatewayOptions: { protocol: jsonWithLength(name) },
      events: {
        onMessage: (client, message) => {
          heard.push(message);
          client.send({ got: message as unknown });
        },
      },
    });
    await using client = await TcpClient.open((cluster.gateways[0] as Gateway).port);
    const values = [{ a: [1, 2.5, null, true], b: { c: 'ü' } }, [1, 2], 'text'];
    for (const value of values) client.write(packed(value));
    const expected = Buffer.concat(values.map((got) => packed({ got })));
    await eventually('the answers', () => client.bytes.length >= expected.length);
    expect(heard).toEqual(values);
    expect(client.bytes).toEqual(expected);
  });
});
