import { ClientMesh, type ClientMeshOptions, type GatewayPeer, LinkError } from '../../src/cluster/link/mod.js';
import { FLAG_SCALAR, packetHead } from '../../src/cluster/protocol/mod.js';
import { RecordingLogger } from './recording-logger.js';

/** The end of the mesh of a program that pushes. */
export class MeshClient implements AsyncDisposable {
  readonly mesh: ClientMesh;
  readonly logger = new RecordingLogger();

  constructor(registerAddresses: readonly string[], options: Partial<ClientMeshOptions> = {}) {
    this.mesh = new ClientMesh({
      registerAddresses,
      secretKey: '',
      queryTimeout: 5,
      connectTimeout: 3,
      readyTimeout: 5,
      drainTimeout: 5,
      sendBufferSize: 10_240_000,
      maxPendingQuestions: 10_000,
      binary: false,
      logger: this.logger,
      ...options,
    });
    this.mesh.open();
  }

  static async ready(registerAddresses: readonly string[], options: Partial<ClientMeshOptions> = {}) {
    const client = new MeshClient(registerAddresses, options);
    await client.mesh.ready();
    return client;
  }

  get addresses(): string[] {
    return [...this.mesh.gateways].map(({ address }) => address).sort();
  }

  /** The only gateway. */
  get peer(): GatewayPeer {
    const [peer] = this.mesh.gateways;
    if (peer === undefined) throw new Error('no gateway is known');
    return peer;
  }

  send(cmd: number, connectionId = 0, body = '', peer = this.peer): boolean {
    return peer.send(packetHead({ cmd, connectionId, flag: FLAG_SCALAR }), '', body);
  }

  async ask(cmd: number, connectionId = 0, peer = this.peer): Promise<string> {
    return (await peer.ask(packetHead({ cmd, connectionId, flag: FLAG_SCALAR }), '', '')).toString();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mesh.close().catch(() => {});
  }
}

/** The LinkError that a promise rejects with. */
export async function linkErrorOf(promise: Promise<unknown>): Promise<LinkError> {
  try {
    await promise;
  } catch (thrown) {
    if (thrown instanceof LinkError) return thrown;
    throw thrown;
  }
  throw new Error('it did not reject');
}
