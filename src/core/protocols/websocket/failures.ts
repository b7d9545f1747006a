import { ProtocolError } from '../errors.js';
import { CLOSE_CODE } from './close-codes.js';
import { closeFrame } from './frames.js';

/** An error whose reply says goodbye with a close code. */
export function closing(
  code: string,
  closeCode: number,
  text: string,
  fields: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): ProtocolError {
  return new ProtocolError(code, `WebSocket: ${text}`, { closeCode, ...fields }, closeFrame(closeCode, text), cause);
}

export function violation(code: string, text: string): ProtocolError {
  return closing(code, CLOSE_CODE.protocolError, text);
}

export function notUtf8(): ProtocolError {
  return closing('GW_WEBSOCKET_UTF8', CLOSE_CODE.invalidPayload, 'a text is not valid UTF-8');
}

export function messageTooLarge(limit: number): ProtocolError {
  return closing('GW_PACKAGE_TOO_LARGE', CLOSE_CODE.messageTooBig, `a message is larger than ${limit} bytes`, {
    protocol: 'websocket',
    limit,
  });
}
