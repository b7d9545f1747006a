import {
  checkEntrance,
  checkLinkTls,
  checkTls,
  hostPort,
  type NetAddress,
  parseAddress,
  type TcpConnection,
} from '../../core/net/mod.js';
import {
  BaseWorker,
  checkPerMessageDeflate,
  checkProtocolScheme,
  LISTEN_SCHEMES,
  type PlannedListen,
  type ProcessContext,
  STOP_PHASE,
  type StopPhase,
  shownAddress,
  type WorkerFigures,
} from '../../core/process/mod.js';
import { OptionsError, readOptions } from '../../util/mod.js';
import { checkRegisterAddresses, type GatewayLink, GatewayMesh, type GatewayMeshOptions } from '../link/mod.js';
import { MAX_PACKET_SIZE } from '../protocol/mod.js';
import { GatewayProcess, type MakeListener } from './gateway-process.js';
import { GATEWAY_CHECKS, GATEWAY_DEFAULTS, type GatewayOptions } from './options.js';

/**
 * Keeps client connections, their sessions, uids and groups; forwards what clients do to the BusinessWorkers and carries out
 * what they command. Runs no code of yours but hooks and a router, where given, so that a reload keeps it.
 */
export class Gateway extends BaseWorker {
  override readonly kind = 'Gateway';
  readonly name: string;
  readonly count: number;
  override readonly user: string;
  override readonly group: string;
  override readonly stopPhase: StopPhase = STOP_PHASE.gateway;
  override readonly reloadable: boolean;
  /** Its inner port is part of its clients' ids: a second process can't have it too. */
  override readonly overlaps = false;
  /** @internal Where clients come in, when it is not a port; a cluster in memory has its own. */
  protected readonly makeListener: MakeListener | undefined;
  readonly #address: NetAddress;
  readonly #options: Readonly<GatewayOptions>;
  readonly #registerAddresses: readonly string[];
  #process: GatewayProcess | null = null;

  /**
   * @param address public address: `websocket://0.0.0.0:8282`, `text://[::]:8282`, `tcp://…`, `frame://…`
   * @throws AddressError, OptionsError
   */
  constructor(address: string, options: Partial<GatewayOptions> = {}) {
    super();
    this.#address = parseAddress(address, LISTEN_SCHEMES);
    this.#options = readOptions('Gateway', GATEWAY_DEFAULTS, GATEWAY_CHECKS, options);
    this.#registerAddresses = checkRegisterAddresses(this.#options.registerAddress);
    this.name = this.#options.name;
    this.count = this.#options.count;
    this.user = this.#options.user;
    this.group = this.#options.group;
    this.reloadable = this.#options.reloadable;
    const { startPort, count, protocol, tls, perMessageDeflate, authenticate, linkTls } = this.#options;
    checkProtocolScheme('Gateway', this.#address, protocol);
    checkPerMessageDeflate('Gateway', this.#address, perMessageDeflate);
    checkEntrance('Gateway', this.#address, this.#options);
    if (authenticate !== null && this.#address.scheme !== 'websocket') {
      const text = `Gateway: authenticate goes with websocket://, not ${this.#address.text}`;
      throw new OptionsError('GW_OPTION_INVALID', text, { address: this.#address.text });
    }
    if (tls !== null) checkTls('Gateway', tls);
    if (linkTls !== null) checkLinkTls('Gateway', linkTls);
    if (startPort + count - 1 > 65_535) {
      throw new OptionsError(
        'GW_OPTION_INVALID',
        `Gateway: startPort ${startPort} leaves no room for ${count} processes`,
        {
          startPort,
          count,
        },
      );
    }
  }

  /** The public port this process listens on; 0 before it does. */
  get port(): number {
    return this.#process?.port ?? 0;
  }

  /** Clients of this process. */
  get clientCount(): number {
    return this.#process?.clients.size ?? 0;
  }

  /** Workers that are linked to this process. */
  get workerCount(): number {
    return this.#process?.workerCount ?? 0;
  }

  plannedListens(): readonly PlannedListen[] {
    const { host, port } = this.#address;
    const planned: PlannedListen[] = [{ address: shownAddress(this.#address, this.#options.tls), host, port }];
    const innerHost = this.#innerHost();
    for (let id = 0; id < this.count; id++) {
      const innerPort = this.#innerPort(id);
      planned.push({
        address: `tcp://${hostPort(innerHost, innerPort)}`,
        host: innerHost,
        port: innerPort,
        inner: true,
      });
    }
    return planned;
  }

  override figures(): WorkerFigures {
    return this.#process?.figures() ?? super.figures();
  }

  override openConnections(): Iterable<TcpConnection> {
    return this.#process?.openConnections() ?? [];
  }

  async start(context: ProcessContext): Promise<void> {
    const { lanIp, secretKey, linkTls, sendToWorkerBufferSize, maxUnacknowledgedBytes, workerTimeout } = this.#options;
    const link = this.makeLink({
      lanIp,
      lanPort: this.#innerPort(this.id),
      listenIp: this.#innerHost(),
      registerAddresses: this.#registerAddresses,
      secretKey,
      linkTls,
      sendToWorkerBufferSize,
      maxUnacknowledgedBytes,
      workerTimeout,
      maxPacketSize: MAX_PACKET_SIZE,
      logger: context.logger,
    });
    const { logger } = context;
    this.#process = new GatewayProcess(this.#address, this.#options, link, logger, undefined, this.makeListener);
    await this.#process.start();
  }

  async stop(hurry: AbortSignal): Promise<void> {
    await this.#process?.stop(hurry);
  }

  /** @internal What links it to the workers; likewise. */
  protected makeLink(options: GatewayMeshOptions): GatewayLink {
    return new GatewayMesh(options);
  }

  #innerPort(id: number): number {
    const { startPort } = this.#options;
    return startPort === 0 ? 0 : startPort + id;
  }

  #innerHost(): string {
    const { innerTcpWorkerListen, lanIp } = this.#options;
    return innerTcpWorkerListen === '' ? lanIp : innerTcpWorkerListen;
  }
}
