/**
 * What a WebSocket handshake costs a gateway beside its sockets, as a browser makes it: reading and checking the request, the
 * answer, and the event for the worker. µs of processor time.
 *
 *   npx tsc -p tsconfig.json --noEmit false --rootDir . --outDir dist/bench
 *   node dist/bench/bench/micro/handshake.js
 */
import { Buffer } from 'node:buffer';
import { websocketConnectBody } from '../../src/cluster/protocol/mod.js';
import { type HandshakeRequest, websocketCodec } from '../../src/core/protocols/mod.js';
import { request, SAMPLE_REQUEST } from '../../test/support/client-frames.js';
import { CountingSink, microsOf } from './measure.js';

const BROWSER = request([
  ...SAMPLE_REQUEST,
  'Pragma: no-cache',
  'Cache-Control: no-cache',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'Origin: https://example.com',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-US,en;q=0.9',
  'Cookie: session=3f2b8c1d9e; theme=dark',
  'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
]);

class Asked extends CountingSink {
  request: HandshakeRequest | null = null;

  override handshake(asked?: HandshakeRequest): boolean {
    this.request = asked ?? null;
    return true;
  }
}

const sink = new Asked();
const read = () => websocketCodec.open({ maxPackageSize: 10_485_760 }).push(Buffer.from(BROWSER), sink);
read();
const asked = sink.request;
if (asked === null) throw new Error('no handshake');
const facts = { ...asked, remoteAddress: '203.0.113.7', remotePort: 50_001, serverPort: 8282 };

console.log(`request and answer   ${microsOf(read).toFixed(2)} µs`);
console.log(`event for the worker ${microsOf(() => void websocketConnectBody(facts)).toFixed(2)} µs`);
