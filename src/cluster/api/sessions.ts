import { Buffer } from 'node:buffer';
import type { GatewayPeer } from '../link/mod.js';
import { unserialize } from '../protocol/mod.js';
import { ApiError } from './errors.js';

/** The session of a client in the worker that handles its events. */
export interface LocalSession {
  /** SET_SESSION with this text has been sent. */
  replaced(text: Buffer): void;
  /** UPDATE_SESSION with this text has been sent. */
  updated(update: Buffer): void;
  /** Texts a question may be answered with because it overtook what was written; to be taken when it is asked. */
  readonly outdated: readonly Buffer[];
  /** The session text behind an answer: the answer itself, unless what was written is newer. */
  latest(answer: Buffer, outdated: readonly Buffer[], now: number): Buffer;
}

/** The clients whose events are handled here. */
export interface LocalSessions {
  session(gateway: GatewayPeer, connectionId: number): LocalSession | undefined;
}

/** @throws ApiError `GW_API_SESSION` for what is neither a plain object nor a list: PHP workers die of it */
export function checkSession(session: unknown): void {
  if (isPlain(session)) return;
  throw new ApiError('GW_API_SESSION', 'a session must be a plain object; {} clears it', { type: typeof session });
}

/**
 * A session text as an object; what is no array (somebody else's mistake) counts as none.
 *
 * @throws PhpSerializeError for what is no serialized value, or has PHP objects in it
 */
export function sessionOf(bytes: Buffer): Record<string, unknown> {
  if (bytes.length === 0) return {};
  const value = unserialize(bytes);
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return {};
  return Array.isArray(value) ? { ...value } : (value as Record<string, unknown>);
}

/** The same where one that can't be read must not hide the others. */
export function readableSession(bytes: Buffer): Record<string, unknown> {
  try {
    return sessionOf(bytes);
  } catch {
    return {};
  }
}

/** Objects of another realm are plain too: their prototype is one without a prototype. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
