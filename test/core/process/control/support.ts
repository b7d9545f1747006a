import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Hello } from '../../../../src/core/process/control/protocol.js';
import type { ControlTarget } from '../../../../src/core/process/control/server.js';
import { eventually } from '../../../support/eventually.js';

export const HELLO: Hello = {
  protocol: 1,
  pid: 4711,
  state: 'running',
  daemon: false,
  version: '1.2.3',
  node: 'v20.19.0',
  system: 'linux x64',
};

/** A service that runs nothing. */
export function target(own: Partial<ControlTarget> = {}): ControlTarget {
  return {
    hello: () => HELLO,
    stop: async () => {},
    reload: async () => ({ replaced: 3, kept: 1 }),
    processes: () => [],
    status: async () => ({ mode: 'many', pid: 4711, startedAt: 0, processes: [], exits: [] }),
    async *connections() {},
    ...own,
  };
}

/** A folder that goes with the test. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'gatewayworker-test-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Somebody at the control socket who may write what they like. */
export class Peer {
  readonly socket: Socket;
  text = '';
  closed = false;

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on('data', (bytes) => {
      this.text += bytes.toString();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    onTestFinished(() => void this.socket.destroy());
  }

  get replies(): Record<string, unknown>[] {
    return this.text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  write(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  /** The replies, once there are so many. */
  async gets(count: number): Promise<Record<string, unknown>[]> {
    await eventually(`${count} replies, so far: ${this.text}`, () => this.replies.length >= count);
    return this.replies;
  }

  async untilClosed(): Promise<void> {
    await eventually('the connection to be closed', () => this.closed);
  }
}
