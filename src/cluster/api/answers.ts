import { Buffer } from 'node:buffer';
import type { GatewayPeer } from '../link/mod.js';
import { encodeClientId, PhpArray, type PhpKey, type PhpValue, unserialize } from '../protocol/mod.js';
import { senseless } from './gather.js';
import { readableSession } from './sessions.js';

/** Keys and integers as they are: `unserialize` without options sorts integer keys to the front. */
const EXACT = { exact: true } as const;
/** Session texts are decoded from their bytes. */
const EXACT_BYTES = { exact: true, bytes: true } as const;

/** One client in the answer to a SELECT. */
export interface Row {
  readonly clientId: string;
  readonly uid: string | null;
  readonly groups: readonly string[];
}

// Each reads the payload of one gateway's answer, and throws when it is not what the question asks for.

export function countIn(payload: Buffer, gateway: GatewayPeer): number {
  return countOf(valueIn(payload), gateway);
}

export function onlineIn(payload: Buffer, gateway: GatewayPeer): boolean {
  const value = valueIn(payload);
  if (value !== 0 && value !== 1) throw senseless(gateway);
  return value === 1;
}

/** @returns the clients whose connection ids are listed */
export function clientIdsIn(payload: Buffer, gateway: GatewayPeer): string[] {
  return clientIdsOf(valueIn(payload), gateway);
}

/** @returns name → count */
export function countsIn(payload: Buffer, gateway: GatewayPeer): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [name, count] of arrayOf(valueIn(payload), gateway)) counts.set(textOf(name), countOf(count, gateway));
  return counts;
}

/** @returns name → clients */
export function clientIdsByNameIn(payload: Buffer, gateway: GatewayPeer): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [name, ids] of arrayOf(valueIn(payload), gateway)) found.set(textOf(name), clientIdsOf(ids, gateway));
  return found;
}

/** @returns the listed names, as texts */
export function namesIn(payload: Buffer, gateway: GatewayPeer): string[] {
  return namesOf(valueIn(payload), gateway);
}

/** A client without the field, or with null in it, has no uid and no groups. */
export function rowsIn(payload: Buffer, gateway: GatewayPeer): Row[] {
  const rows: Row[] = [];
  for (const [connectionId, fields] of arrayOf(valueIn(payload), gateway)) {
    const clientId = clientIdOf(connectionId, gateway);
    const row = arrayOf(fields, gateway);
    const uid = row.get('uid') ?? null;
    const groups = row.get('groups') ?? null;
    rows.push({
      clientId,
      uid: uid === null ? null : nameOf(uid, gateway),
      groups: groups === null ? [] : namesOf(groups, gateway),
    });
  }
  return rows;
}

/** @returns client id → session, an empty one where it can't be read */
export function sessionsIn(payload: Buffer, gateway: GatewayPeer): Map<string, Record<string, unknown>> {
  const sessions = new Map<string, Record<string, unknown>>();
  const texts = arrayOf(unserialize(payload, 0, payload.length, EXACT_BYTES), gateway);
  for (const [connectionId, text] of texts) {
    if (!Buffer.isBuffer(text)) throw senseless(gateway);
    sessions.set(clientIdOf(connectionId, gateway), readableSession(text));
  }
  return sessions;
}

function valueIn(payload: Buffer): PhpValue {
  return unserialize(payload, 0, payload.length, EXACT);
}

function arrayOf(value: PhpValue, gateway: GatewayPeer): PhpArray {
  if (value instanceof PhpArray) return value;
  throw senseless(gateway);
}

function countOf(value: PhpValue, gateway: GatewayPeer): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw senseless(gateway);
}

function clientIdsOf(value: PhpValue, gateway: GatewayPeer): string[] {
  const ids: string[] = [];
  for (const [, connectionId] of arrayOf(value, gateway)) ids.push(clientIdOf(connectionId, gateway));
  return ids;
}

function clientIdOf(connectionId: PhpValue, gateway: GatewayPeer): string {
  if (typeof connectionId !== 'number' || !(connectionId >= 0 && connectionId <= 0xffffffff)) throw senseless(gateway);
  return encodeClientId(gateway.localIp, gateway.localPort, connectionId);
}

function namesOf(value: PhpValue, gateway: GatewayPeer): string[] {
  const names: string[] = [];
  for (const [, name] of arrayOf(value, gateway)) names.push(nameOf(name, gateway));
  return names;
}

/** What PHP kept as a key is an integer when it looks like one, beyond 2^53 a bigint. */
function nameOf(value: PhpValue, gateway: GatewayPeer): string {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
      return String(value);
    default:
      if (Buffer.isBuffer(value)) return textOf(value);
      throw senseless(gateway);
  }
}

/** Bytes that are not UTF-8 get U+FFFD. */
function textOf(key: PhpKey): string {
  return Buffer.isBuffer(key) ? key.toString('utf8') : String(key);
}
