// The cluster that is soaked, on the built package: each of its processes writes down again and again what it holds.
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BusinessWorker, Gateway, gateway, Register, run } from '../../dist/mod.js';

const { REGISTER_PORT, WEBSOCKET_PORT, TEXT_PORT, TLS_PORT, CERTIFICATE, FOLDER, SAMPLE_MS, LEAK } = process.env;
const GROUPS = 50;

const registerAddress = `127.0.0.1:${REGISTER_PORT}`;
/** With LEAK, to see that it is found. */
const leaked = [];

/** The first character says what is to become of a message; `!` prepares something, and is answered with `!`. */
function onMessage(client, message) {
  if (LEAK) leaked.push(Buffer.alloc(Number(LEAK), 1));
  switch (message[0]) {
    case 'e':
      client.send(message);
      return undefined;
    case 'a':
      return new Promise((resolve) => setTimeout(resolve, 1)).then(() => client.send(message));
    case 'b':
      gateway.sendToAll(message);
      return undefined;
    case 'g':
      gateway.sendToGroup(`group-${message.length % GROUPS}`, message);
      return undefined;
    case 'c':
      client.session.count = (client.session.count ?? 0) + 1;
      client.send(message);
      return undefined;
    case '!':
      for (let group = 0; group < GROUPS; group++)
        if (message.endsWith(` ${group % 3}`)) client.joinGroup(`group-${group}`);
      client.joinGroup(`own-${client.id}`);
      client.bindUid(`uid-${client.id}`);
      client.session = { text: 'x'.repeat(200) };
      client.send('!');
  }
  return undefined;
}

new Register(`text://${registerAddress}`);
const shared = { registerAddress, startPort: 0, sendToClientBufferSize: 262_144 };
const tls = { cert: readFileSync(`${CERTIFICATE}.cert.pem`), key: readFileSync(`${CERTIFICATE}.key.pem`) };
new Gateway(`websocket://0.0.0.0:${WEBSOCKET_PORT}`, { ...shared, name: 'WebSocket', perMessageDeflate: true });
new Gateway(`text://0.0.0.0:${TEXT_PORT}`, { ...shared, name: 'Text', pingInterval: 5, pingData: 'ping' });
new Gateway(`websocket://0.0.0.0:${TLS_PORT}`, { ...shared, name: 'Tls', tls });
// One is replaced at each reload; the other shows what hours do.
new BusinessWorker({ name: 'Worker', registerAddress, events: { onMessage } });
new BusinessWorker({ name: 'Steady', registerAddress, events: { onMessage }, reloadable: false });

if (process.argv[2] === 'start') {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const file = join(FOLDER, `${process.pid}.samples`);
  setInterval(() => {
    collect();
    const { rss, heapUsed, external } = process.memoryUsage();
    const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const files = readdirSync('/proc/self/fd').length;
    const name = process.title.replace(/^gatewayworker: /, '');
    appendFileSync(
      file,
      `${JSON.stringify({ at: Date.now(), name, rss, heap: heapUsed + external, timers, files })}\n`,
    );
  }, Number(SAMPLE_MS)).unref();
}

// Clients that send garbage or do not read are what this is about.
await run({ logLevel: 'error', pidFile: join(FOLDER, 'soak.pid') });
