import { JsonFloat, type JsonValue, scanJson } from './json-scanner.js';
import { phpJson } from './php-json.js';

/** A uid or group as the API takes it. Integers beyond 2^53 are given as bigint or as their digits. */
export type Name = string | number | bigint;

/** Who a SEND_TO_ALL is for. */
export interface SendToAllExt {
  /** Only these, when given. */
  readonly connections: readonly number[] | null;
  /** Not these; looked at only when `connections` is null. */
  readonly exclude: readonly number[];
}

/** Who a SEND_TO_GROUP is for. */
export interface SendToGroupExt {
  readonly groups: readonly string[];
  readonly exclude: readonly number[];
}

/** One condition of a SELECT. A client matches when any condition of the query matches it. */
export type SelectCondition =
  | { readonly by: 'groups' | 'uid'; readonly values: readonly string[] }
  | { readonly by: 'connection_id'; readonly values: readonly number[] };

export interface SelectExt {
  readonly fields: readonly string[];
  /** null: every client. Conditions nobody knows are left out, so that an empty list matches nobody. */
  readonly where: readonly SelectCondition[] | null;
}

/** ext_data of SEND_TO_UID and BATCH_GET_CLIENT_ID_BY_UID, of BATCH_GET_CLIENT_COUNT_BY_GROUP too. */
export function nameListExt(names: readonly Name[]): string {
  return phpJson(names);
}

/** ext_data of SEND_TO_ALL to some: the empty list is nobody. */
export function connectionsExt(connectionIds: Iterable<number>): string {
  return `{"connections":${idMap(connectionIds)}}`;
}

/** ext_data of SEND_TO_ALL to all but some; empty when nobody is left out. */
export function excludeExt(connectionIds: Iterable<number>): string {
  const ids = idMap(connectionIds);
  return ids === '{}' ? '' : `{"exclude":${ids}}`;
}

/** ext_data of SEND_TO_GROUP. */
export function groupExt(groups: readonly Name[], exclude: Iterable<number> = []): string {
  const ids = idMap(exclude);
  return `{"group":${phpJson(groups)},"exclude":${ids === '{}' ? 'null' : ids}}`;
}

/** ext_data of SELECT. Without conditions every client is meant. */
export function selectExt(
  fields: readonly string[],
  where: { groups?: readonly Name[]; uid?: readonly Name[]; connection_id?: Iterable<number> } = {},
): string {
  const conditions: string[] = [];
  if (where.groups !== undefined) conditions.push(`"groups":${phpJson(where.groups)}`);
  if (where.uid !== undefined) conditions.push(`"uid":${phpJson(where.uid)}`);
  if (where.connection_id !== undefined) conditions.push(`"connection_id":${idMap(where.connection_id)}`);
  return `{"fields":${phpJson(fields)},"where":${conditions.length === 0 ? '[]' : `{${conditions.join()}}`}}`;
}

/**
 * A list of uids or groups, as the texts they are kept under: `5` and `"5"` both give `5`.
 *
 * An object is read as the list of its values. Integers of any size keep their digits, floats their text (the original
 * cuts 1.5 to 1 and finds another); true, false, null, lists and objects are left out (the original takes true for 1).
 *
 * @returns undefined when the text is neither list nor object
 */
export function parseUidList(text: string): string[] | undefined {
  const value = scanJson(text);
  return isContainer(value) ? namesOf(value) : undefined;
}

/** @returns undefined when the text is no JSON object, and nobody is to get the message */
export function parseGroupExt(text: string): SendToGroupExt | undefined {
  const name = onlyGroupIn(text);
  if (name !== null) return { groups: [name], exclude: [] };
  const value = scanJson(text);
  if (!(value instanceof Map)) return undefined;
  return { groups: namesOf(value.get('group')), exclude: idsOfKeys(value.get('exclude')) };
}

/**
 * Empty ext_data is everybody. Of `connections` the values count, of `exclude` the keys whose value is not null.
 *
 * @returns undefined when the text can't be read: nobody is to get the message (the original sends it to everybody)
 */
export function parseSendToAllExt(text: string): SendToAllExt | undefined {
  if (text === '') return { connections: null, exclude: [] };
  const value = scanJson(text);
  if (Array.isArray(value) && value.length === 0) return { connections: null, exclude: [] };
  if (!(value instanceof Map)) return undefined;
  const connections = value.get('connections') ?? null;
  return { connections: connections === null ? null : idsOf(connections), exclude: idsOfKeys(value.get('exclude')) };
}

/** @returns undefined when the text is no JSON object; the answer is then the empty array */
export function parseSelectExt(text: string): SelectExt | undefined {
  const value = scanJson(text);
  if (!(value instanceof Map)) return undefined;
  return { fields: namesOf(value.get('fields')), where: conditionsOf(value.get('where')) };
}

const ONE_GROUP = '{"group":["';
const NOBODY_EXCLUDED = '"],"exclude":null}';

/**
 * The name in what nearly every send to a group has: one name without escapes, and nobody left out. To find that it is so takes a
 * tenth of the time that reading it as JSON does, which is what a send to a small group costs most.
 */
function onlyGroupIn(text: string): string | null {
  const end = text.length - NOBODY_EXCLUDED.length;
  if (end < ONE_GROUP.length || !text.startsWith(ONE_GROUP) || !text.endsWith(NOBODY_EXCLUDED)) return null;
  for (let at = ONE_GROUP.length; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE || code === BACKSLASH || code < SPACE) return null;
  }
  return text.slice(ONE_GROUP.length, end);
}

const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function conditionsOf(where: JsonValue | undefined): SelectCondition[] | null {
  if (!isContainer(where) || (Array.isArray(where) ? where.length : where.size) === 0) return null;
  const conditions: SelectCondition[] = [];
  if (Array.isArray(where)) return conditions;
  for (const [by, values] of where) {
    if (by === 'connection_id') conditions.push({ by, values: idsOf(values) });
    else if (by === 'groups' || by === 'uid') conditions.push({ by, values: namesOf(values) });
  }
  return conditions;
}

function namesOf(value: JsonValue | undefined): string[] {
  const names: string[] = [];
  if (!isContainer(value)) return names;
  for (const item of value.values()) {
    if (typeof item === 'string') names.push(item);
    else if (typeof item === 'number' || typeof item === 'bigint') names.push(String(item));
    else if (item instanceof JsonFloat) names.push(item.text);
  }
  return names;
}

function idsOf(value: JsonValue | undefined): number[] {
  const ids: number[] = [];
  if (!isContainer(value)) return ids;
  for (const item of value.values()) {
    const id = typeof item === 'string' ? idOfText(item) : item;
    if (typeof id === 'number' && id >= 0 && id <= 0xffffffff) ids.push(id);
  }
  return ids;
}

function idsOfKeys(value: JsonValue | undefined): number[] {
  const ids: number[] = [];
  if (!isContainer(value)) return ids;
  for (const [key, item] of value.entries()) {
    if (item === null) continue;
    const id = typeof key === 'string' ? idOfText(key) : key;
    if (id !== undefined && id <= 0xffffffff) ids.push(id);
  }
  return ids;
}

/** PHP finds the key 7 under "7", but not under "07" or "7.0". */
function idOfText(text: string): number | undefined {
  return /^(?:0|[1-9]\d{0,9})$/.test(text) ? Number(text) : undefined;
}

function isContainer(value: JsonValue | undefined): value is JsonValue[] | Map<string, JsonValue> {
  return Array.isArray(value) || value instanceof Map;
}

/** `{"3":3}`, each id once, in order of appearance. */
function idMap(ids: Iterable<number>): string {
  let entries = '';
  for (const id of new Set(ids)) entries += `${entries === '' ? '' : ','}"${id}":${id}`;
  return `{${entries}}`;
}
