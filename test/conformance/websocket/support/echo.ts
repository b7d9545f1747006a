import { afterAll, beforeAll } from 'vitest';
import { type Service, startService, Worker, type WorkerOptions } from '../../../../src/core/process/mod.js';
import { RecordingLogger } from '../../../support/recording-logger.js';
import { close, type Pace, RawClient, type WireEvent } from './raw-client.js';

export interface EchoServer {
  readonly port: number;
}

/** For the top of a file: a Worker that sends each message back, there for all tests of it. */
export function echoServer(options: Partial<WorkerOptions> = {}): EchoServer {
  const worker = new Worker('websocket://127.0.0.1:0', {
    ...options,
    onMessage: (connection, message) => connection.send(message),
  });
  let service: Service;
  beforeAll(async () => {
    const logger = new RecordingLogger();
    service = await startService({ workers: [worker], processes: 'single', ownsProcess: false, logger });
  });
  afterAll(() => service.stop());
  return worker;
}

/** All that the server sends to a client that writes these frames, until it hangs up. */
export async function conversation(
  server: EchoServer,
  frames: readonly Buffer[],
  pace: Pace = 'whole',
): Promise<readonly WireEvent[]> {
  await using client = await RawClient.open(server.port);
  await client.write(frames, pace);
  return await client.untilEnded();
}

/** The same, of a client that says goodbye in the end; to a server that has failed the connection that makes no difference. */
export function untilGoodbye(server: EchoServer, frames: readonly Buffer[], pace: Pace = 'whole') {
  return conversation(server, [...frames, close(1000)], pace);
}
