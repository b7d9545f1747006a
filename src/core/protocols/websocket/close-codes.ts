/** Why a WebSocket was closed: RFC 6455 section 7.4.1 and the IANA registry. Applications use 4000 to 4999. */
export const CLOSE_CODE = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  /** Never sent: the close frame carried no code. */
  noStatus: 1005,
  /** Never sent: the connection ended without a close frame. */
  abnormal: 1006,
  invalidPayload: 1007,
  policyViolation: 1008,
  messageTooBig: 1009,
  mandatoryExtension: 1010,
  internalError: 1011,
  serviceRestart: 1012,
  tryAgainLater: 1013,
  badGateway: 1014,
  /** Never sent: the TLS handshake failed. */
  tlsHandshake: 1015,
} as const;

/** Whether a close frame may carry the code. */
export function isSendableCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999 && Number.isInteger(code);
  return SENDABLE.has(code);
}

const SENDABLE: ReadonlySet<number> = new Set([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]);
