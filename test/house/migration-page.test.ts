import { describe, expect, it } from 'vitest';
import { GatewayApi } from '../../src/cluster/api/gateway-api.js';
import { WorkerGatewayApi } from '../../src/cluster/api/worker-gateway-api.js';
import { BUSINESS_WORKER_DEFAULTS } from '../../src/cluster/business/business-worker.js';
import { EVENT_NAMES } from '../../src/cluster/business/events.js';
import { GATEWAY_DEFAULTS } from '../../src/cluster/gateway/options.js';
import { pageText, rowsOf, sectionOf } from '../support/pages.js';

/** Every public static function of `Lib\Gateway` and of PHP's GatewayClient, deprecated and misspelt ones too. */
const FUNCTIONS = `
  sendToAll sendToClient sendToCurrentClient sendToUid sendToGroup closeClient closeCurrentClient destoryClient
  destoryCurrentClient bindUid unbindUid joinGroup leaveGroup ungroup setSession updateSession setSocketSession
  setBusinessWorker isOnline isUidOnline isUidsOnline getClientIdByUid batchGetClientIdByUid getUidByClientId getSession
  getAllUidList getAllUidCount getUidListByGroup getUidCountByGroup getAllClientIdList getAllClientIdCount
  getAllClientCount getClientIdListByGroup getClientIdCountByGroup getClientCountByGroup batchGetClientIdCountByGroup
  getAllClientSessions getAllClientInfo getClientSessionsByGroup getClientInfoByGroup getAllGroupIdList
  getAllGroupUidList getAllGroupUidCount getAllGroupClientIdList getAllGroupClientIdCount
`;

/** What is set on PHP's Gateway, BusinessWorker and Register, and statically on the two classes of functions. */
const OPTIONS = `
  name count registerAddress secretKey lanIp startPort innerTcpWorkerListen pingInterval pingNotResponseLimit pingData
  router selectLoadBalancingMode router_least_connections router_random sendToWorkerBufferSize sendToClientBufferSize
  protocolAccelerate onConnect onClose onWebSocketConnect onBusinessWorkerConnected onBusinessWorkerClose onWorkerStart
  onWorkerStop eventHandler sendToGatewayBufferSize defaultMaxPackageSize transport persistentConnection connectTimeout
  addressesCacheDisable reloadable user group reusePort
`;

const page = pageText('docs/migrating-from-php.md');
/** What is in code in the PHP column. */
const inPhp = (heading: string) => {
  const rows = rowsOf(sectionOf(page, heading));
  for (const row of rows) expect(row).not.toContain('');
  return new Set(
    rows.flatMap(([php = '']) => [...php.matchAll(/`[^`]+`/g)].flatMap(([code]) => code.match(/\w+/g) ?? [])),
  );
};
const missing = (names: string, heading: string) => {
  const there = inPhp(heading);
  return names
    .trim()
    .split(/\s+/)
    .filter((name) => !there.has(name));
};

const functions = [GatewayApi, WorkerGatewayApi]
  .flatMap(({ prototype }) => Object.getOwnPropertyNames(prototype))
  .filter((name) => name !== 'constructor' && !name.endsWith('Peer'));

describe('docs/migrating-from-php.md', () => {
  it('has a line for every function of PHP, with the one here', () => {
    expect(missing(FUNCTIONS, 'Functions')).toEqual([]);
    // Ours come from there, so one that is new here stands above as well.
    const known = [...FUNCTIONS.trim().split(/\s+/), 'destroyClient', 'destroyCurrentClient'];
    expect(functions.filter((name) => !known.includes(name))).toEqual([]);
    const named = rowsOf(sectionOf(page, 'Functions')).flatMap(([, here = '']) =>
      [...here.matchAll(/(?<!\.)\b(\w+)\(/g)].map((match) => match[1] ?? ''),
    );
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !functions.includes(name))).toEqual([]);
  });

  it('has a line for every option of PHP', () => {
    expect(missing(OPTIONS, 'Options')).toEqual([]);
  });

  it('has a line for every event', () => {
    expect(missing(EVENT_NAMES.join(' '), 'Events')).toEqual([]);
  });

  it('speaks on our side of options that there are', () => {
    const known = [...Object.keys(GATEWAY_DEFAULTS), ...Object.keys(BUSINESS_WORKER_DEFAULTS)];
    const named = rowsOf(sectionOf(page, 'Options')).flatMap(([, here = '']) =>
      [...here.matchAll(/`([a-z]\w*)[^`]*`/g)].map((match) => match[1] ?? ''),
    );
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });
});
