import { createServer } from 'node:net';
import type { BaseWorker, PlannedListen } from './base-worker.js';

import type { StartErrorCode } from './errors.js';
import { StartError } from './errors.js';

interface Claim {
  readonly worker: BaseWorker;
  readonly listen: PlannedListen;
}

interface Refusal {
  readonly code: StartErrorCode;
  readonly reason: string;
}

/** What the system says no with, and what a person can do about it. */
const REFUSALS: Readonly<Record<string, (listen: PlannedListen) => Refusal>> = {
  EADDRINUSE: () => ({
    code: 'GW_START_PORT_IN_USE',
    reason: 'the port is in use; stop the program that uses it (ss -ltnp shows it) or choose another port',
  }),
  EACCES: ({ port }) => ({
    code: 'GW_START_PORT_FORBIDDEN',
    reason:
      port < 1024
        ? 'this user may not listen on ports below 1024; choose a higher port, or give the program the right (setcap cap_net_bind_service=+ep)'
        : 'the system forbids this port; choose another port',
  }),
  EADDRNOTAVAIL: noSuchAddress,
  ENOTFOUND: noSuchAddress,
  EAI_AGAIN: noSuchAddress,
};

/**
 * Tries every address that the workers will listen on, and leaves each free again. Port 0 is skipped.
 *
 * Asked before anything is started, so that a busy port is one clear message, not one failure for each process.
 *
 * @throws StartError `GW_START_ADDRESS_TWICE`, `GW_START_PORT_IN_USE`, `GW_START_PORT_FORBIDDEN`,
 *   `GW_START_ADDRESS_UNKNOWN`, `GW_START_LISTEN_FAILED`
 */
export async function checkAddresses(workers: readonly BaseWorker[]): Promise<void> {
  const claims = workers.flatMap((worker) =>
    worker
      .plannedListens()
      .filter((listen) => listen.port !== 0)
      .map((listen): Claim => ({ worker, listen })),
  );
  refuseTwice(claims);
  for (const claim of claims) {
    const error = await tryToListen(claim.listen);
    if (error !== undefined) throw listenError(claim, error);
  }
}

/** Whether listening on one keeps the system from listening on the other. */
export function overlap(a: PlannedListen, b: PlannedListen): boolean {
  if (a.port !== b.port) return false;
  const hostA = plainHost(a.host);
  const hostB = plainHost(b.host);
  return hostA === hostB || covers(hostA, hostB) || covers(hostB, hostA);
}

function refuseTwice(claims: readonly Claim[]): void {
  for (const [index, later] of claims.entries()) {
    const earlier = claims.slice(0, index).find((claim) => overlap(claim.listen, later.listen));
    if (earlier === undefined) continue;
    const who =
      earlier.worker === later.worker
        ? `${later.worker.name} is to listen twice on ${later.listen.address}`
        : `${earlier.worker.name} and ${later.worker.name} are both to listen on ${later.listen.address}`;
    const also = earlier.listen.address === later.listen.address ? '' : ` (${earlier.listen.address} covers it)`;
    throw new StartError('GW_START_ADDRESS_TWICE', `${who}${also}; give one of them another port`, {
      address: later.listen.address,
      workers: [earlier.worker.name, later.worker.name],
    });
  }
}

/** '' and the wildcards listen on all addresses; `::` takes IPv4 along. */
function covers(wide: string, narrow: string): boolean {
  if (wide === '::') return true;
  if (wide === '0.0.0.0') return !narrow.includes(':') || narrow === '::';
  // Which of the two loopback addresses `localhost` is, only the resolver knows.
  return wide === 'localhost' && (narrow === '127.0.0.1' || narrow === '::1');
}

function plainHost(host: string): string {
  const plain = host.replace(/^\[|\]$/g, '').toLowerCase();
  return plain === '' ? '::' : plain;
}

function tryToListen({ host, port }: PlannedListen): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ host: host.replace(/^\[|\]$/g, '') || undefined, port, exclusive: true }, () => {
      server.close(() => resolve(undefined));
    });
  });
}

function listenError({ worker, listen }: Claim, error: NodeJS.ErrnoException): StartError {
  const { code, reason } = REFUSALS[error.code ?? '']?.(listen) ?? {
    code: 'GW_START_LISTEN_FAILED',
    reason: error.message,
  };
  return new StartError(
    code,
    `${worker.name} cannot listen on ${listen.address}: ${reason}`,
    { worker: worker.name, address: listen.address, host: listen.host, port: listen.port, reason: error.code },
    error,
  );
}

function noSuchAddress({ host }: PlannedListen): Refusal {
  return {
    code: 'GW_START_ADDRESS_UNKNOWN',
    reason: `${host} is not an address of this machine; use 0.0.0.0 for all of its addresses, or one that ip addr shows`,
  };
}
