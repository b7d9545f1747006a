import { describe, expect, it } from 'vitest';
import { GatewayProcess } from '../../../src/cluster/gateway/gateway-process.js';
import { GATEWAY_DEFAULTS } from '../../../src/cluster/gateway/options.js';
import { GatewayMesh } from '../../../src/cluster/link/mod.js';
import { Command, MAX_PACKET_SIZE } from '../../../src/cluster/protocol/mod.js';
import { parseAddress } from '../../../src/core/net/mod.js';
import { eventually } from '../../support/eventually.js';
import { MeshWorker } from '../../support/mesh.js';
import { RawServer } from '../../support/raw-server.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { TcpClient } from '../../support/tcp-client.js';

const CLIENTS = 20;
const MESSAGES = 1000;
const FILLER = 'x'.repeat(1000);
const BUFFER = 200_000;

describe('a worker that does not read for a while', () => {
  it('loses nothing, and the gateway keeps no more for it than its buffer allows', async () => {
    const logger = new RecordingLogger();
    await using register = await RawServer.start();
    const mesh = new GatewayMesh({
      lanIp: '127.0.0.1',
      lanPort: 0,
      listenIp: '127.0.0.1',
      registerAddresses: [],
      secretKey: '',
      sendToWorkerBufferSize: BUFFER,
      maxUnacknowledgedBytes: 16_777_216,
      workerTimeout: 60,
      maxPacketSize: MAX_PACKET_SIZE,
      logger,
    });
    let lanPort = 0;
    const link = {
      open: async (events: Parameters<typeof mesh.open>[0]) => {
        const identity = await mesh.open(events);
        lanPort = identity.localPort;
        return identity;
      },
      announce: () => mesh.announce(),
      figures: () => mesh.figures(),
      openConnections: () => mesh.openConnections(),
      close: () => mesh.close(),
    };
    const address = parseAddress('text://127.0.0.1:0', ['text']);
    const gateway = new GatewayProcess(address, GATEWAY_DEFAULTS, link, logger);
    await gateway.start();
    register.list([`127.0.0.1:${lanPort}`]);
    await using worker = new MeshWorker([register.address]);
    await eventually('the worker', () => gateway.workerCount === 1);
    const clients: TcpClient[] = [];
    for (let index = 0; index < CLIENTS; index++) clients.push(await TcpClient.open(gateway.port));
    await eventually('the clients', () => worker.events.length === CLIENTS);

    worker.mesh.pause();
    for (const client of clients) {
      client.write(Array.from({ length: MESSAGES }, (_, index) => `${index} ${FILLER}\n`).join(''));
    }
    const read = () => [...gateway.clients.all].reduce((sum, { connection }) => sum + connection.bytesRead, 0);
    let before = -1;
    await eventually('the gateway to stop reading', async () => {
      const now = read();
      const still = now === before && now > 0;
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return still;
    });
    expect(read()).toBeLessThan(CLIENTS * MESSAGES * FILLER.length * 0.9);
    const held = [...gateway.clients.all].reduce((sum, { connection }) => sum + connection.recvQueueSize, 0);
    expect(held, 'what one read of each client brought').toBeLessThan(CLIENTS * 200_000);

    worker.mesh.resume();
    const messages = () => worker.events.filter(({ cmd }) => cmd === Command.ON_MESSAGE);
    await eventually('all messages', () => messages().length === CLIENTS * MESSAGES);
    for (const { connectionId } of gateway.clients.all) {
      const numbers = messages().filter((event) => event.connectionId === connectionId);
      expect(numbers.map(({ body }) => Number.parseInt(body, 10))).toEqual(
        Array.from({ length: MESSAGES }, (_, n) => n),
      );
    }
    expect(gateway.figures().dropped).toEqual({});
    expect(logger.warnings).toEqual([]);
    for (const client of clients) client.socket.destroy();
    await gateway.stop(AbortSignal.abort());
  });
});
