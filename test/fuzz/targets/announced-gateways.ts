import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { AnnouncedGateways } from '../../../src/cluster/link/mesh/announced-gateways.js';
import { broadcastAddressesLine, numberToIp } from '../../../src/cluster/protocol/mod.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { type Target, within } from '../target.js';
import { REGISTER_LINES } from './register.js';

const LONGEST_MS = 15_000;

let register: { readonly server: Server; readonly socket: Socket; readonly announced: AnnouncedGateways } | null = null;
const logger = new RecordingLogger();
/** The address that ends a case, and what is called when it is announced. */
let awaited: { readonly address: string; readonly resolve: () => void } | null = null;
let wrong: string | null = null;
let next = 0;

/** What a register tells workers and GatewayClients: what is no address is not taken for one, and what comes behind it is read. */
export const ANNOUNCED_GATEWAYS: Target = {
  name: 'announced-gateways',
  seeds: [
    ...REGISTER_LINES,
    Buffer.from(broadcastAddressesLine(['10.1.2.3:65535', '255.255.255.255:1', '[::1]:2900'])),
  ],
  async run(bytes) {
    register ??= await open();
    const address = `10.0.0.1:${1 + (next++ % 60_000)}`;
    const answered = new Promise<void>((resolve) => {
      awaited = { address, resolve };
    });
    register.socket.write(Buffer.concat([bytes, Buffer.from(`\n${broadcastAddressesLine([address])}`)]));
    await within(`the gateway ${address}`, answered, LONGEST_MS);
    logger.entries.length = 0;
    if (wrong !== null) throw new Error(wrong);
  },
  async end() {
    register?.announced.stop();
    register?.socket.destroy();
    register?.server.close();
    register = null;
    wrong = null;
  },
};

async function open() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const announced = new AnnouncedGateways({
    registerAddresses: [`127.0.0.1:${(server.address() as AddressInfo).port}`],
    secretKey: '',
    logger,
    onChange: (all) => {
      for (const { address, host, localIp, localPort } of all.values()) {
        if (numberToIp(localIp) === host && localPort > 0 && localPort < 65_536) continue;
        wrong = `'${address}' was taken for ${host}, ${localIp}, port ${localPort}`;
      }
      if (awaited !== null && all.size === 1 && all.has(awaited.address)) awaited.resolve();
    },
  });
  const joined = once(server, 'connection');
  announced.start();
  const [socket] = (await joined) as [Socket];
  socket.on('error', () => {});
  socket.setNoDelay();
  socket.resume();
  return { server, socket, announced };
}
