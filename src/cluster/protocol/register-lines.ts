import { phpJson } from './php-json.js';

/** Further fields of a join line, for peers of our own; PHP ignores what it does not know. */
export type ExtraFields = Readonly<Record<string, unknown>>;

/** A line of the Register protocol, understood. `fields` is the whole JSON object, for what our own peers add. */
export type RegisterMessage =
  | {
      readonly event: 'gateway_connect';
      readonly address: string;
      readonly secretKey: string | null;
      readonly fields: ExtraFields;
    }
  | { readonly event: 'worker_connect'; readonly secretKey: string | null; readonly fields: ExtraFields }
  | { readonly event: 'ping'; readonly fields: ExtraFields }
  | { readonly event: 'broadcast_addresses'; readonly addresses: readonly string[]; readonly fields: ExtraFields };

/**
 * - `malformed`: not a JSON object with an event; a Register explains itself in one line of text and closes
 * - `unknown_event`: an event nobody knows, or one that is no text; closed without a word
 * - `no_address`: a gateway_connect without address, or a broadcast without a list
 */
export type RegisterFault = 'malformed' | 'unknown_event' | 'no_address';

/** What a gateway says to join, with LF. Laid out as PHP does, blanks included, but with the key escaped. */
export function gatewayConnectLine(address: string, secretKey: string, extra: ExtraFields = {}): string {
  const joined = `"address":${JSON.stringify(address)}, "secret_key":${JSON.stringify(secretKey)}`;
  return `{"event":"gateway_connect", ${joined}${extraText(extra)}}\n`;
}

/** What a worker says to join, and a GatewayClient to ask, with LF. */
export function workerConnectLine(secretKey: string, extra: ExtraFields = {}): string {
  return `{"event":"worker_connect","secret_key":${JSON.stringify(secretKey)}${extraText(extra)}}\n`;
}

/** Keeps the connection to a Register alive, with LF. */
export function pingLine(): string {
  return '{"event":"ping"}\n';
}

/** What a Register tells workers, with LF; `addresses` distinct, in order of registration. */
export function broadcastAddressesLine(addresses: readonly string[]): string {
  return `{"event":"broadcast_addresses","addresses":${phpJson(addresses)}}\n`;
}

/**
 * Reads one line; CR and LF at its end do not matter.
 *
 * A `secretKey` of null is one that is no text: it equals no key. A missing one, or JSON null, is the empty key.
 * Addresses of a broadcast may come as a list or as an object (a PHP Register's list with holes): the values count, each
 * once; such as are no text or number are left out.
 */
export function parseRegisterLine(line: string): RegisterMessage | { readonly fault: RegisterFault } {
  const fields = parseObject(line);
  if (fields === undefined) return { fault: 'malformed' };
  const event = own(fields, 'event');
  if (isEmpty(event)) return { fault: 'malformed' };
  switch (event) {
    case 'gateway_connect': {
      const given = own(fields, 'address');
      const address = isEmpty(given) ? undefined : addressText(given);
      if (address === undefined) return { fault: 'no_address' };
      return { event, address, secretKey: secretKeyOf(fields), fields };
    }
    case 'worker_connect':
      return { event, secretKey: secretKeyOf(fields), fields };
    case 'ping':
      return { event, fields };
    case 'broadcast_addresses': {
      const given = own(fields, 'addresses');
      if (typeof given !== 'object' || given === null) return { fault: 'no_address' };
      const addresses = new Set<string>();
      for (const value of Object.values(given)) {
        const address = addressText(value);
        if (address !== undefined) addresses.add(address);
      }
      return { event, addresses: [...addresses], fields };
    }
    default:
      return { fault: 'unknown_event' };
  }
}

function parseObject(line: string): ExtraFields | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as ExtraFields) : undefined;
  } catch {
    return undefined;
  }
}

function secretKeyOf(fields: ExtraFields): string | null {
  const key = own(fields, 'secret_key') ?? '';
  return typeof key === 'string' ? key : null;
}

function addressText(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? value : undefined;
}

/** Not what a prototype holds. */
function own(fields: ExtraFields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** What PHP's empty() says of a JSON value. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '' || value === '0') return true;
  return value === 0 || (typeof value === 'object' && Object.keys(value).length === 0);
}

function extraText(extra: ExtraFields): string {
  const text = JSON.stringify(extra);
  return text === '{}' ? '' : `,${text.slice(1, -1)}`;
}
