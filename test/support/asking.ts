import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { afterEach } from 'vitest';
import { eventually } from './eventually.js';

/** A process of the fixtures' TestWorker, and a connection to it. */
export interface Answer {
  readonly pid: number;
  readonly id: number;
  readonly socket: Socket;
}

const sockets = new Set<Socket>();

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
});

/** Connects to a process of a TestWorker, stays connected, and says which one answered. */
export function ask(port: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    sockets.add(socket);
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('closed without an answer')));
    socket.once('data', (line) => resolve({ ...JSON.parse(String(line)), socket }));
  });
}

/** One connection to each of so many processes of a TestWorker, by their id. */
export async function askEach(port: number, count: number): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  await eventually(`all ${count} processes answer`, async () => {
    const answer = await ask(port);
    answers[answer.id] = answer;
    return Object.keys(answers).length === count;
  });
  return answers;
}
