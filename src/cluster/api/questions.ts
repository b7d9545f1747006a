import type { Buffer } from 'node:buffer';
import type { GatewayDirectory, GatewayPeer } from '../link/mod.js';
import { Command, type Name, nameListExt, selectExt } from '../protocol/mod.js';
import {
  clientIdsByNameIn,
  clientIdsIn,
  countIn,
  countsIn,
  namesIn,
  onlineIn,
  type Row,
  rowsIn,
  sessionsIn,
} from './answers.js';
import { askAll, askOne, type Question, senseless } from './gather.js';
import type { LocalSession } from './sessions.js';

type Where = Parameters<typeof selectExt>[1];

const NULL = 'N;';
/** What every session text begins with: `a:`. */
const ARRAY = 0x61;

// ---- of one client, at its gateway ----

export function isOnline(gateway: GatewayPeer, connectionId: number): Promise<boolean> {
  return askOne(gateway, { cmd: Command.IS_ONLINE, ext: '', read: onlineIn }, connectionId, false);
}

export function uidOf(gateway: GatewayPeer, connectionId: number): Promise<string | null> {
  const read = (payload: Buffer) => rowsIn(payload, gateway)[0]?.uid ?? null;
  const ext = selectExt(['uid'], { connection_id: [connectionId] });
  return askOne(gateway, { cmd: Command.SELECT, ext, read }, 0, null);
}

/**
 * @param local the client's session here, which may be ahead of the answer
 * @param of what becomes of the session's text
 * @returns null: there is no such client
 */
export function sessionAt<Session>(
  gateway: GatewayPeer,
  connectionId: number,
  local: LocalSession | undefined,
  of: (text: Buffer) => Session,
): Promise<Session | null> {
  const outdated = local?.outdated ?? [];
  const read = (payload: Buffer) => {
    if (payload.length === NULL.length && payload.toString('latin1') === NULL) return null;
    if (payload[0] !== ARRAY) throw senseless(gateway);
    return of(local === undefined ? payload : local.latest(payload, outdated, performance.now()));
  };
  const question: Question<Session | null> = { cmd: Command.GET_SESSION_BY_CLIENT_ID, ext: '', read };
  return askOne(gateway, question, connectionId, null);
}

// ---- of all gateways ----

/** @param group empty: everybody */
export function countClients(directory: GatewayDirectory, group: string): Promise<number> {
  return askAll(directory, { cmd: Command.GET_CLIENT_COUNT_BY_GROUP, ext: group, read: countIn }, sum);
}

/** @param group undefined: everybody */
export function sessions(
  directory: GatewayDirectory,
  group: string | undefined,
): Promise<Map<string, Record<string, unknown>>> {
  const cmd = group === undefined ? Command.GET_ALL_CLIENT_SESSIONS : Command.GET_CLIENT_SESSIONS_BY_GROUP;
  return askAll(directory, { cmd, ext: group ?? '', read: sessionsIn }, joined);
}

export function clientIdsOfUid<Result>(
  directory: GatewayDirectory,
  uid: string,
  combine: (answers: readonly string[][]) => Result,
): Promise<Result> {
  return askAll(directory, { cmd: Command.GET_CLIENT_ID_BY_UID, ext: uid, read: clientIdsIn }, combine);
}

/** uid → what its clients amount to, each uid in its place; nobody is asked about none. */
export async function clientIdsOfUids<Result>(
  directory: GatewayDirectory,
  uids: readonly Name[],
  of: (ids: string[]) => Result,
): Promise<Map<string, Result>> {
  if (uids.length === 0) return new Map();
  const question = { cmd: Command.BATCH_GET_CLIENT_ID_BY_UID, ext: nameListExt(uids), read: clientIdsByNameIn };
  return askAll(directory, question, (answers) => {
    const found = new Map<string, Result>();
    for (const uid of uids) {
      const name = String(uid);
      found.set(name, of(answers.flatMap((answer) => answer.get(name) ?? [])));
    }
    return found;
  });
}

/** group → members, each group in its place; nobody is asked about none. */
export async function countsOfGroups(
  directory: GatewayDirectory,
  groups: readonly Name[],
): Promise<Map<string, number>> {
  if (groups.length === 0) return new Map();
  const question = { cmd: Command.BATCH_GET_CLIENT_COUNT_BY_GROUP, ext: nameListExt(groups), read: countsIn };
  return askAll(directory, question, (answers) => {
    const found = new Map<string, number>();
    for (const group of groups) {
      const name = String(group);
      found.set(name, sum(answers.map((answer) => answer.get(name) ?? 0)));
    }
    return found;
  });
}

export function groupNames(directory: GatewayDirectory): Promise<string[]> {
  return askAll(directory, { cmd: Command.GET_GROUP_ID_LIST, ext: '', read: namesIn }, (answers) => [
    ...new Set(answers.flat()),
  ]);
}

/** The clients that match, or all; gateway by gateway. */
export function select<Result>(
  directory: GatewayDirectory,
  fields: readonly ('uid' | 'groups')[],
  where: Where,
  combine: (rows: readonly Row[]) => Result,
): Promise<Result> {
  const ext = selectExt(fields, where);
  return askAll(directory, { cmd: Command.SELECT, ext, read: rowsIn }, (answers) => combine(answers.flat()));
}

// ---- what rows amount to ----

export function clientIdsOf(rows: readonly Row[]): string[] {
  return rows.map(({ clientId }) => clientId);
}

/** Each uid once, over the cluster. */
export function uidsOf(rows: readonly Row[]): string[] {
  const uids = new Set<string>();
  for (const { uid } of rows) if (uid !== null) uids.add(uid);
  return [...uids];
}

/** group → each uid in it once. Clients without a uid are passed over; the original stops at the first of them. */
export function uidsByGroup(rows: readonly Row[]): Map<string, string[]> {
  const found = new Map<string, Set<string>>();
  for (const { uid, groups } of rows) {
    if (uid === null) continue;
    for (const group of groups) {
      const uids = found.get(group);
      if (uids === undefined) found.set(group, new Set([uid]));
      else uids.add(uid);
    }
  }
  return new Map(Array.from(found, ([group, uids]) => [group, [...uids]]));
}

/** group → its clients. */
export function clientIdsByGroup(rows: readonly Row[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { clientId, groups } of rows) {
    for (const group of groups) {
      const ids = found.get(group);
      if (ids === undefined) found.set(group, [clientId]);
      else ids.push(clientId);
    }
  }
  return found;
}

/** name → how many. */
export function lengths(lists: ReadonlyMap<string, readonly string[]>): Map<string, number> {
  return new Map(Array.from(lists, ([name, list]) => [name, list.length]));
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

function joined<Value>(maps: readonly ReadonlyMap<string, Value>[]): Map<string, Value> {
  const all = new Map<string, Value>();
  for (const map of maps) for (const [key, value] of map) all.set(key, value);
  return all;
}
