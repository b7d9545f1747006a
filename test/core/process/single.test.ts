import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ProcessContext, Service, ServiceOptions, StopPhase } from '../../../src/core/process/mod.js';
import { STOP_PHASE, startService } from '../../../src/core/process/mod.js';
import { busyPort } from '../../support/free-port.js';
import { listenOn, TestWorker } from '../../support/test-worker.js';

let log: string[];
let service: Service | undefined;

beforeEach(() => {
  log = [];
  service = undefined;
});

afterEach(async () => {
  await service?.stop();
});

const record = (level: string) => (message: string) => {
  log.push(`${level} ${message}`);
};

const logger = { debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') };

function traced(name: string, stopPhase: StopPhase, trace: string[]): TestWorker {
  return new TestWorker({
    name,
    stopPhase,
    onStart: () => trace.push(`+${name}`),
    onStop: () => trace.push(`-${name}`),
  });
}

async function startSingle(options: Partial<ServiceOptions>): Promise<Service> {
  service = await startService({ processes: 'single', ownsProcess: false, logger, ...options });
  return service;
}

test('registers start first and gateways last; they stop the other way round', async () => {
  const trace: string[] = [];
  traced('gateway', STOP_PHASE.gateway, trace);
  traced('worker', STOP_PHASE.worker, trace);
  traced('register', STOP_PHASE.register, trace);
  const { stop } = await startSingle({});
  await stop();
  expect(trace).toEqual(['+register', '+worker', '+gateway', '-gateway', '-worker', '-register']);
});

test('one instance of each runs, in this process, whatever its count', async () => {
  const contexts: ProcessContext[] = [];
  const worker = new TestWorker({ name: 'Four', count: 4, onStart: (context) => contexts.push(context) });
  const { mode, processes, workers } = await startSingle({ workers: [worker] });
  expect(workers).toEqual([worker]);
  expect(mode).toBe('single');
  expect(contexts).toHaveLength(1);
  expect(contexts[0]?.single).toBe(true);
  expect(processes()).toEqual([
    { worker: 'Four', id: 0, pid: process.pid, state: 'ready', restarts: 0, crashLoop: null },
  ]);
});

test('the logger of a worker says who speaks', async () => {
  await startSingle({ workers: [new TestWorker({ onStart: (context) => context.logger.info('hello') })] });
  expect(log).toEqual(['info TestWorker:0 hello']);
});

test('a start that fails stops what was started and rejects with the reason', async () => {
  const trace: string[] = [];
  const cause = new Error('the database is not there');
  const workers = [
    traced('register', STOP_PHASE.register, trace),
    traced('fine', STOP_PHASE.worker, trace),
    new TestWorker({ name: 'failing', onStart: () => Promise.reject(cause) }),
    traced('gateway', STOP_PHASE.gateway, trace),
  ];
  await expect(startSingle({ workers })).rejects.toMatchObject({
    name: 'StartError',
    code: 'GW_START_WORKER_FAILED',
    message: 'failing:0 could not start: the database is not there',
    fields: { worker: 'failing', id: 0 },
    cause,
  });
  expect(trace).toEqual(['+register', '+fine', '-fine', '-register']);
});

test('a busy port is found before anything starts', async () => {
  const { server, port } = await busyPort();
  const trace: string[] = [];
  const workers = [
    traced('register', STOP_PHASE.register, trace),
    new TestWorker({ listens: [listenOn('127.0.0.1', port)] }),
  ];
  await expect(startSingle({ workers })).rejects.toMatchObject({ code: 'GW_START_PORT_IN_USE' });
  expect(trace).toEqual([]);
  server.close();
});

test('a stop that hangs is left behind at the deadline, and the others still stop', async () => {
  const trace: string[] = [];
  const workers = [
    new TestWorker({ name: 'hanging', stopPhase: STOP_PHASE.gateway, onStop: () => new Promise(() => {}) }),
    traced('worker', STOP_PHASE.worker, trace),
  ];
  const { stop } = await startSingle({ workers, stopTimeout: 0.1 });
  await stop();
  expect(trace).toEqual(['+worker', '-worker']);
  expect(log).toEqual(['warn service hanging:0 did not stop within 0.1 s']);
});

test('a stop that throws is reported and holds nothing up', async () => {
  const trace: string[] = [];
  const workers = [
    new TestWorker({
      name: 'throwing',
      stopPhase: STOP_PHASE.gateway,
      onStop: () => {
        throw new Error('thrown by stop');
      },
    }),
    traced('worker', STOP_PHASE.worker, trace),
  ];
  const { stop } = await startSingle({ workers });
  await stop();
  expect(trace).toEqual(['+worker', '-worker']);
  expect(log[0]).toContain('error throwing:0 stop failed: Error: thrown by stop');
});

test('stopping twice stops once', async () => {
  const trace: string[] = [];
  const { stop } = await startSingle({ workers: [traced('worker', STOP_PHASE.worker, trace)] });
  await Promise.all([stop(), stop()]);
  await stop();
  expect(trace).toEqual(['+worker', '-worker']);
});

test('a guest in another program leaves its signals alone', async () => {
  const before = process.listenerCount('SIGINT');
  await startSingle({ workers: [new TestWorker()] });
  expect(process.listenerCount('SIGINT')).toBe(before);
});

test('the owner of the process gives the signals back once it has stopped', async () => {
  const before = process.listenerCount('SIGINT');
  const { stop } = await startSingle({ workers: [new TestWorker()], ownsProcess: true });
  expect(process.listenerCount('SIGINT')).toBe(before + 1);
  await stop();
  expect(process.listenerCount('SIGINT')).toBe(before);
});

test('there must be something to start', async () => {
  await expect(startSingle({ workers: [] })).rejects.toMatchObject({ code: 'GW_START_NO_WORKERS' });
});

test('options are checked', async () => {
  await expect(startSingle({ process: 'many' } as never)).rejects.toThrow("did you mean 'processes'?");
  await expect(startSingle({ processes: 'two' as never })).rejects.toThrow("'many' or 'single'");
  await expect(startSingle({ workers: [{}] as never })).rejects.toThrow('a list of workers');
  await expect(startSingle({ logger: {} as never })).rejects.toThrow('an object with the methods debug, info');
  await expect(startSingle({ stopTimeout: -1 })).rejects.toThrow('a number of seconds of at least 0');
});
