import type { LogLevel } from 'gatewayworker';

/** Where the chat listens. Each port can be changed by an environment variable; the worker processes inherit them. */
export const settings = {
  /** Who may connect: all addresses for clients; the cluster itself stays on loopback. */
  host: process.env.CHAT_HOST ?? '0.0.0.0',
  /** Where the Register is, for a chat that is spread over hosts; else on loopback, at CHAT_REGISTER_PORT. */
  registerAddress: process.env.CHAT_REGISTER ?? `127.0.0.1:${port('CHAT_REGISTER_PORT', 1236)}`,
  /** The address by which the other hosts reach the gateways of this one. */
  lanIp: process.env.CHAT_LAN_IP ?? '127.0.0.1',
  /** Shared by all processes of the chat; set one where others can reach the inner ports. */
  secretKey: process.env.CHAT_SECRET_KEY ?? '',
  textPort: port('CHAT_TEXT_PORT', 8282),
  webSocketPort: port('CHAT_WEBSOCKET_PORT', 8283),
  webPort: port('CHAT_WEB_PORT', 8284),
  /** Inner ports of the gateways: the first for telnet, the second for WebSocket. */
  innerPort: port('CHAT_INNER_PORT', 2900),
  /** `debug` shows also who joins whom. */
  logLevel: logLevel(process.env.CHAT_LOG_LEVEL ?? 'info'),
} as const;

function logLevel(text: string): LogLevel {
  if (text === 'debug' || text === 'info' || text === 'warn' || text === 'error') return text;
  return refuse(`CHAT_LOG_LEVEL must be debug, info, warn or error, got '${text}'`);
}

function port(variable: string, standard: number): number {
  const text = process.env[variable] ?? String(standard);
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_534) {
    return refuse(`${variable} must be a port from 1 to 65534, got '${text}'`);
  }
  return value;
}

/** A person's mistake: a line that says which, without a stack. */
function refuse(message: string): never {
  console.error(message);
  return process.exit(1);
}
