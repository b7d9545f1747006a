import { Buffer } from 'node:buffer';
import {
  broadcastAddressesLine,
  gatewayConnectLine,
  parseRegisterLine,
  pingLine,
  workerConnectLine,
} from '../../../src/cluster/protocol/mod.js';
import type { Target } from '../target.js';

export const REGISTER_LINES: readonly Buffer[] = [
  gatewayConnectLine('127.0.0.1:2900', 'secret'),
  gatewayConnectLine('[::1]:2900', 'ключ"\\', { more: { than: ['PHP', 'says'] } }),
  workerConnectLine('secret'),
  workerConnectLine('', { version: 2 }),
  pingLine(),
  broadcastAddressesLine(['127.0.0.1:2900', '127.0.0.1:2901']),
  '{"event":"broadcast_addresses","addresses":{"0":"127.0.0.1:2900","2":"10.0.0.1:1"}}\n',
].map((line) => Buffer.from(line));

export const REGISTER: Target = {
  name: 'register',
  seeds: REGISTER_LINES,
  run(bytes) {
    const message = parseRegisterLine(bytes.toString());
    if ('fault' in message) return;
    let line: string;
    switch (message.event) {
      case 'gateway_connect':
        line = gatewayConnectLine(message.address, message.secretKey ?? '');
        break;
      case 'worker_connect':
        line = workerConnectLine(message.secretKey ?? '');
        break;
      case 'broadcast_addresses':
        line = broadcastAddressesLine(message.addresses);
        break;
      case 'ping':
        line = pingLine();
    }
    const again = parseRegisterLine(line);
    const [came, back] = [message, again].map((value) =>
      JSON.stringify({ ...value, fields: null, secretKey: ('secretKey' in value && value.secretKey) || '' }),
    );
    // Half a surrogate pair, which PHP could not read, is replaced; JSON shows it escaped.
    if (came !== back && !/\\ud[89a-f]/.test(String(came))) throw new Error(`${came} came back as ${back}`);
  },
};
