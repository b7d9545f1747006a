import { Buffer } from 'node:buffer';
import {
  type ConnectionOptions,
  createSecureContext,
  createServer,
  type SecureContext,
  type Server,
  type TlsOptions,
} from 'node:tls';
import { messageOf, OptionsError } from '../../util/mod.js';

/** What `node:tls` takes for one certificate: `cert`, `key`, `ca`, `passphrase`, `pfx` … */
export type CertificateOptions = NonNullable<Parameters<typeof createSecureContext>[0]>;

/** TLS on a listening port: what `node:tls` takes for a server, and two more. */
export interface TlsListenOptions
  extends Omit<TlsOptions, 'allowHalfOpen' | 'handshakeTimeout' | 'pauseOnConnect' | 'noDelay' | 'keepAlive'> {
  /**
   * More certificates, by the name a client asks for: `{ 'example.com': { cert, key }, '*.example.com': { … } }`. A star
   * stands for exactly one label; a name as it is goes first. Clients that ask for another name, or none, get `cert`, and
   * are refused where there is no such. What else is given beside (`minVersion`, `ca` …) counts for these too.
   */
  readonly serverNames?: Readonly<Record<string, CertificateOptions>>;
  /** Handshakes at a time in one process, beyond which new connections are refused; default 1000. */
  readonly maxHandshakes?: number;
}

/**
 * TLS between the processes of a cluster, both sides of which show a certificate: the same object for who listens and who
 * connects. Whoever has a certificate of `ca` belongs to the cluster; names in certificates are not looked at, so let `ca` be one that signs
 * for nobody else.
 */
export interface LinkTlsOptions extends Pick<CertificateOptions, 'passphrase' | 'minVersion'> {
  /** Who signs the certificates of the cluster, PEM. */
  readonly ca: NonNullable<CertificateOptions['ca']>;
  readonly cert: NonNullable<CertificateOptions['cert']>;
  readonly key: NonNullable<CertificateOptions['key']>;
}

export const DEFAULT_MAX_HANDSHAKES = 1000;

const SERVER_NAME = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;

/**
 * Looks whether a server can be made of the options, so that a wrong certificate is found before anything is started.
 *
 * @param owner name of the class, for the message
 * @throws OptionsError `GW_TLS_INVALID`, naming what does not fit
 */
export function checkTls(owner: string, tls: TlsListenOptions): void {
  const { serverNames, maxHandshakes, SNICallback } = tls;
  const named = Object.entries(serverNames ?? {});
  if (!hasCertificate(tls) && named.length === 0 && SNICallback === undefined) {
    throw invalid(owner, 'tls', 'needs cert and key, pfx, serverNames or SNICallback');
  }
  if (named.length > 0 && SNICallback !== undefined) {
    throw invalid(owner, 'tls.SNICallback', 'and serverNames both choose the certificate; give one of them');
  }
  if (maxHandshakes !== undefined && !(Number.isInteger(maxHandshakes) && maxHandshakes > 0)) {
    throw invalid(owner, 'tls.maxHandshakes', 'must be an integer of at least 1');
  }
  checkCertificate(owner, 'tls', tls);
  for (const [name, certificate] of named) {
    const option = `tls.serverNames['${name}']`;
    if (!SERVER_NAME.test(name.toLowerCase())) {
      throw invalid(owner, option, "is no server name; expected 'example.com' or '*.example.com'");
    }
    if (typeof certificate !== 'object' || certificate === null || !hasCertificate(certificate)) {
      throw invalid(owner, option, 'needs cert and key, or pfx');
    }
    checkCertificate(owner, option, { ...shared(tls), ...certificate });
  }
  try {
    tlsServer(tls, 1);
  } catch (thrown) {
    throw invalid(owner, 'tls', `is not accepted by node:tls: ${messageOf(thrown)}`, thrown);
  }
}

/** @throws OptionsError `GW_TLS_INVALID` */
export function checkLinkTls(owner: string, linkTls: LinkTlsOptions): void {
  for (const name of ['ca', 'cert', 'key'] as const) {
    if (linkTls[name] === undefined)
      throw invalid(owner, `linkTls.${name}`, 'is missing: linkTls has ca, cert and key');
  }
  for (const name of Object.keys(linkTls)) {
    if (!LINK_TLS_PARTS.includes(name)) {
      throw invalid(owner, `linkTls.${name}`, `is unknown; there are ${LINK_TLS_PARTS.join(', ')}`);
    }
  }
  checkCertificate(owner, 'linkTls', linkTls);
}

const LINK_TLS_PARTS: readonly string[] = ['ca', 'cert', 'key', 'passphrase', 'minVersion'];

/** For who listens. */
export function linkServerTls(linkTls: LinkTlsOptions): TlsListenOptions {
  return { ...linkTls, requestCert: true, rejectUnauthorized: true };
}

/** For who connects. */
export function linkClientTls(linkTls: LinkTlsOptions): ConnectionOptions {
  // Gateways are known by their addresses, which certificates seldom have.
  return { ...linkTls, rejectUnauthorized: true, checkServerIdentity: () => undefined };
}

/** A TLS server without a port of its own: it is handed its connections. */
export function tlsServer(tls: TlsListenOptions, handshakeTimeout: number): Server {
  const { serverNames, maxHandshakes, ...options } = tls;
  // A port may serve named certificates only; a handshake without any then ends with an alert.
  const server: TlsOptions = { ...options, handshakeTimeout: Math.ceil(handshakeTimeout * 1000) };
  if (serverNames !== undefined) {
    const contexts = contextsByName(tls, serverNames);
    server.SNICallback = (name, done) => done(null, contextFor(contexts, name));
  }
  return createServer(server);
}

/** The certificate for a name: that of the name itself, then that of a star in place of its first label. */
export function contextFor<T>(contexts: ReadonlyMap<string, T>, serverName: string): T | undefined {
  const name = serverName.toLowerCase();
  return contexts.get(name) ?? contexts.get(`*${name.slice(Math.max(0, name.indexOf('.')))}`);
}

function contextsByName(
  tls: TlsListenOptions,
  serverNames: Readonly<Record<string, CertificateOptions>>,
): Map<string, SecureContext> {
  const common = shared(tls);
  return new Map(
    Object.entries(serverNames).map(([name, certificate]) => [
      name.toLowerCase(),
      createSecureContext({ ...common, ...certificate }),
    ]),
  );
}

/** What counts for every certificate of a port. */
function shared(tls: TlsListenOptions): CertificateOptions {
  const { cert, key, pfx, passphrase, ...common } = tls;
  return common;
}

function hasCertificate({ cert, key, pfx }: CertificateOptions): boolean {
  return cert !== undefined || key !== undefined || pfx !== undefined;
}

/** Tries the parts alone before the whole: the message then names the one that is wrong. */
function checkCertificate(owner: string, option: string, options: CertificateOptions): void {
  const { cert, key, pfx, ca, passphrase } = options;
  if ((cert === undefined) !== (key === undefined)) {
    const missing = cert === undefined ? 'cert' : 'key';
    throw invalid(owner, `${option}.${missing}`, `is missing: cert and key go together`);
  }
  for (const [name, pem] of Object.entries({ ca, cert, key })) {
    if (pem === undefined) continue;
    // node:tls takes a ca that is none, and then trusts nobody.
    if (!isPem(pem))
      throw invalid(owner, `${option}.${name}`, 'must be the PEM itself, not a path: readFileSync(path)');
    attempt(owner, `${option}.${name}`, { [name]: pem, passphrase });
  }
  if (pfx !== undefined) attempt(owner, `${option}.pfx`, { pfx, passphrase });
  if (cert !== undefined) attempt(owner, `${option}.key`, { cert, key, passphrase });
}

function attempt(owner: string, option: string, options: CertificateOptions): void {
  try {
    createSecureContext(options);
  } catch (thrown) {
    throw invalid(owner, option, `is not usable: ${messageOf(thrown)}`, thrown);
  }
}

/** As far as can be seen without parsing it; several, or a key with its passphrase, come as a list. */
function isPem(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isPem);
  if (typeof value === 'object' && value !== null && 'pem' in value) return isPem(value.pem);
  return (typeof value === 'string' || Buffer.isBuffer(value)) && value.includes('-----BEGIN ');
}

function invalid(owner: string, option: string, problem: string, cause?: unknown): OptionsError {
  return new OptionsError('GW_TLS_INVALID', `${owner}: option '${option}' ${problem}`, { owner, option }, cause);
}
