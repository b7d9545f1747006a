import { chmodSync, existsSync, linkSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CONNECTION_LIMITS, connectNear, LocalListener, TcpConnection, type Wire } from '../../../src/core/net/mod.js';
import { textCodec } from '../../../src/core/protocols/mod.js';
import { eventually } from '../../support/eventually.js';
import { testFolders } from '../../support/folder.js';
import { closeListeners, listening, TestOwner } from '../../support/test-listener.js';

const testFolder = testFolders();
const { TMPDIR } = process.env;
const locals: LocalListener[] = [];
let temporary: string;

beforeEach(() => {
  temporary = testFolder();
  process.env.TMPDIR = temporary;
});

afterEach(async () => {
  for (const local of locals.splice(0)) local.close();
  await closeListeners();
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
});

/** A port with its second door, and who came by which. */
async function doors() {
  const port = await listening();
  const owner = new TestOwner();
  const accepted: TcpConnection[] = [];
  const accept = (wire: Wire) => void accepted.push(new TcpConnection(wire, textCodec, owner, CONNECTION_LIMITS));
  const local = new LocalListener('127.0.0.1', port.port, accept);
  locals.push(local);
  return { port, owner, accepted, local };
}

function near(port: number): { owner: TestOwner; connection: TcpConnection } {
  const owner = new TestOwner();
  return { owner, connection: connectNear('127.0.0.1', port, textCodec, owner, CONNECTION_LIMITS) };
}

function socketFolder(): string {
  return join(temporary, `gatewayworker-${process.geteuid?.()}`);
}

it('carries messages both ways beside the port, under the addresses of the port', async () => {
  const { port, owner: accepting, accepted, local } = await doors();
  expect(await local.listen()).toBe(null);
  accepting.whenMessage = (connection, text) => void connection.send(`re: ${text}`);
  const { owner, connection } = near(port.port);
  const long = 'x'.repeat(5_000_000);
  connection.send('early');
  connection.send(long);
  await eventually('answers', () => owner.messages.length === 2);
  expect(owner.messages).toEqual(['re: early', `re: ${long}`]);
  expect(connection).toMatchObject({ local: true, remoteAddress: '127.0.0.1', remotePort: port.port, isIpV6: false });
  expect(accepted[0]).toMatchObject({ local: true, remoteAddress: '127.0.0.1', localPort: port.port, remotePort: 0 });
  expect(port.connections).toHaveLength(0);
  connection.close();
  await eventually('both ends to know', () => owner.count('close') + accepting.count('close') === 2);
  expect([owner.closeError, accepting.closeError]).toEqual([null, null]);
});

it('is passed by where nobody has made it', async () => {
  const { port } = await doors();
  const { owner, connection } = near(port.port);
  await eventually('the connection', () => owner.count('open') === 1);
  expect(connection.local).toBe(false);
});

it('is passed by where a dead process has left it, and made anew by the next who has the port', async () => {
  const { port, local, accepted } = await doors();
  await diesAndLeavesItsSocket(local);

  const { owner, connection } = near(port.port);
  connection.send('by the port');
  await eventually('the message', () => port.owner.messages.length === 1);
  expect(owner.events).toEqual(['open']);
  expect(connection).toMatchObject({ local: false, remotePort: port.port });

  const next = new LocalListener('127.0.0.1', port.port, (wire) => {
    accepted.push(new TcpConnection(wire, textCodec, new TestOwner(), CONNECTION_LIMITS));
  });
  locals.push(next);
  expect(await next.listen()).toBe(null);
  near(port.port);
  await eventually('somebody', () => accepted.length === 1);
});

it('ends with the error of the port when nobody is at either', async () => {
  const { port: listener, local } = await doors();
  const { port } = listener;
  await diesAndLeavesItsSocket(local);
  await closeListeners();
  const { owner, connection } = near(port);
  await eventually('the end', () => owner.count('close') === 1);
  expect(owner.closeError).toMatchObject({ code: 'ECONNREFUSED', port });
  expect(connection.status).toBe('closed');
});

it('goes with its listener', async () => {
  const { local } = await doors();
  expect(await local.listen()).toBe(null);
  expect(readdirSync(socketFolder())).toHaveLength(1);
  local.close();
  await eventually('the socket to be gone', () => readdirSync(socketFolder()).length === 0);
});

it('is neither made nor believed in a folder that others may enter, or that is a link to one', async () => {
  const { port, local } = await doors();
  expect(await local.listen()).toBe(null);
  chmodSync(socketFolder(), 0o755);
  const { owner, connection } = near(port.port);
  await eventually('the connection', () => owner.count('open') === 1);
  expect(connection.local).toBe(false);
  const second = await doors();
  expect(await second.local.listen()).toContain('only its owner may enter');

  chmodSync(socketFolder(), 0o700);
  const elsewhere = testFolder();
  process.env.TMPDIR = elsewhere;
  symlinkSync(socketFolder(), join(elsewhere, `gatewayworker-${process.geteuid?.()}`));
  expect(await second.local.listen()).toContain('only its owner may enter');
});

it('does without where the path would be too long', async () => {
  process.env.TMPDIR = join(temporary, 'x'.repeat(100));
  const { port, local } = await doors();
  expect(await local.listen()).toBe('there is no place for a Unix socket');
  expect(existsSync(process.env.TMPDIR)).toBe(false);
  const { owner } = near(port.port);
  await eventually('the connection', () => owner.count('open') === 1);
});

it('gives up on both doors when it is closed while connecting', async () => {
  const { port, local } = await doors();
  expect(await local.listen()).toBe(null);
  const { owner, connection } = near(port.port);
  connection.close();
  await eventually('the end', () => owner.count('close') === 1);
  expect(owner.events).toEqual(['close']);
  expect(port.connections).toHaveLength(0);
});

async function diesAndLeavesItsSocket(local: LocalListener): Promise<void> {
  expect(await local.listen()).toBe(null);
  const [name = ''] = readdirSync(socketFolder());
  const path = join(socketFolder(), name);
  linkSync(path, join(temporary, 'kept'));
  local.close();
  renameSync(join(temporary, 'kept'), path);
}
