import { ClientMesh, GatewayMesh, MemoryHub, WorkerMesh } from '../../../src/cluster/link/mod.js';
import { MAX_PACKET_SIZE } from '../../../src/cluster/protocol/mod.js';
import { Register } from '../../../src/cluster/register/mod.js';
import { silentLogger } from '../../../src/util/mod.js';
import { type ClientWish, describeLinkContract, type GatewayWish, type LinkKind, type WorkerWish } from './contract.js';

const GATEWAY = {
  lanIp: '127.0.0.1',
  lanPort: 0,
  sendToWorkerBufferSize: 10_240_000,
  maxUnacknowledgedBytes: 16_777_216,
};
const WORKER = { workerKey: 'worker:0', sendToGatewayBufferSize: 10_240_000, queryTimeout: 5 };
const CLIENT = {
  queryTimeout: 5,
  readyTimeout: 5,
  sendBufferSize: 10_240_000,
  maxPendingQuestions: 10_000,
  binary: false,
};

async function mesh(): Promise<LinkKind> {
  const register = new Register('text://127.0.0.1:0');
  await register.start({ logger: silentLogger, single: true, generation: 0 });
  const shared = {
    registerAddresses: [`127.0.0.1:${register.port}`],
    secretKey: '',
    maxPacketSize: MAX_PACKET_SIZE,
    logger: silentLogger,
  };
  return {
    gatewayLink: (wish: GatewayWish) =>
      new GatewayMesh({ ...GATEWAY, listenIp: '127.0.0.1', workerTimeout: 60, ...shared, ...wish }),
    workerLink: (wish: WorkerWish) => new WorkerMesh({ ...WORKER, gatewayTimeout: 60, ...shared, ...wish }),
    clientLink: (wish: ClientWish) =>
      new ClientMesh({ ...CLIENT, connectTimeout: 3, drainTimeout: 5, ...shared, ...wish }),
    stop: () => register.stop(),
  };
}

async function memory(): Promise<LinkKind> {
  const hub = new MemoryHub();
  return {
    gatewayLink: (wish: GatewayWish) => hub.gatewayLink({ ...GATEWAY, ...wish }),
    workerLink: (wish: WorkerWish) => hub.workerLink({ ...WORKER, ...wish }),
    clientLink: (wish: ClientWish) => hub.clientLink({ ...CLIENT, ...wish }),
    stop: async () => {},
  };
}

describeLinkContract('the mesh', mesh);
describeLinkContract('in memory', memory);
