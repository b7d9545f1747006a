import { phpJson } from './php-json.js';
import type { ExtraFields } from './register-lines.js';

/** The body of a WORKER_CONNECT or GATEWAY_CLIENT_CONNECT, read. */
export interface ConnectBody {
  /** `ChatWorker:0`; the empty string where it is missing, as in GATEWAY_CLIENT_CONNECT. */
  readonly workerKey: string;
  /** null where it is missing or no text, which equals no key, not even the empty one. */
  readonly secretKey: string | null;
  /** The whole JSON object, for what our own peers add. */
  readonly fields: ExtraFields;
}

/** @param workerKey name of the worker, a colon, its number */
export function workerConnectBody(workerKey: string, secretKey: string, extra: ExtraFields = {}): string {
  return phpJson({ worker_key: workerKey, secret_key: secretKey, ...extra });
}

export function gatewayClientConnectBody(secretKey: string, extra: ExtraFields = {}): string {
  return phpJson({ secret_key: secretKey, ...extra });
}

/** @returns undefined when the body is not a JSON object */
export function parseConnectBody(body: string): ConnectBody | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return undefined;
  const { worker_key: workerKey, secret_key: secretKey } = fields as Record<string, unknown>;
  return {
    workerKey: typeof workerKey === 'string' ? workerKey : '',
    secretKey: typeof secretKey === 'string' ? secretKey : null,
    fields: fields as ExtraFields,
  };
}
