import { connect } from 'node:net';
import type { ProcessState, ReloadOptions, ReloadResult } from '../../src/core/process/mod.js';

/** What a master may be ordered by a test; see `orders.mjs` among the fixtures of processes. */
export interface Order {
  readonly reload?: ReloadOptions;
  /** True: gracefully. */
  readonly stop?: boolean;
}

export interface OrderAnswer {
  readonly result?: ReloadResult;
  readonly error?: { readonly code: string; readonly message: string; readonly fields: Record<string, unknown> };
  readonly processes: readonly ProcessState[];
}

/** Rejects when the master ends before it has answered. */
export function giveOrder(port: number, order: Order): Promise<OrderAnswer> {
  const socket = connect(port, '127.0.0.1');
  socket.write(JSON.stringify(order));
  let text = '';
  return new Promise((resolve, reject) => {
    socket.on('data', (bytes) => {
      text += bytes;
    });
    socket.on('error', reject);
    socket.on('close', () => (text === '' ? reject(new Error('no answer')) : resolve(JSON.parse(text))));
  });
}
