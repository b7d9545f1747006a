// The chat of events.js, tested as a whole cluster in memory.
//
//   node --test examples/test-an-app/
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, startCluster } from 'gatewayworker/testing';

test('what is said in a room is heard in it, whatever the gateway and the worker', async (t) => {
  const cluster = await startCluster({
    transport: 'memory',
    gateways: ['websocket://127.0.0.1:0', 'text://127.0.0.1:0'],
    workers: 2,
    events: () => import('./events.js'),
  });
  t.after(() => cluster.stop());

  const ada = await cluster.connect(0, { path: '/?lang=en' });
  const bob = await cluster.connect(1);
  ada.send('join ada red');
  assert.equal(await ada.next(), 'welcome to red');
  bob.send('hello');
  assert.equal(await bob.next(), 'join a room first');
  bob.send('join bob red');
  assert.equal(await bob.next(), 'welcome to red');

  ada.send('hello');
  assert.equal(await ada.next(), 'ada: hello');
  assert.equal(await bob.next(), 'ada: hello');

  // What the app has done can be asked for, and done to it from outside.
  assert.deepEqual((await cluster.api.getUidListByGroup('red')).sort(), ['ada', 'bob']);
  cluster.api.sendToUid('bob', 'from outside');
  assert.equal(await bob.next(), 'from outside');

  await bob.close();
  assert.equal(await ada.next(), 'bob has left');
  await eventually('bob to be gone', async () => !(await cluster.api.isUidOnline('bob')));
});
