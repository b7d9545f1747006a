// Gateways and one worker, each a process, on the built package.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BusinessWorker, Gateway, gateway, Register, run } from '../../../dist/mod.js';
import { collectWhileThereIs } from './collect.mjs';

const { REGISTER_PORT, CLIENT_PORT, PROTOCOL, GATEWAYS, TLS, DEFLATE, COLLECT, FOLDER } = process.env;
if (COLLECT) collectWhileThereIs(COLLECT);

const registerAddress = `127.0.0.1:${REGISTER_PORT}`;
const tls = TLS ? { cert: readFileSync(`${TLS}.cert.pem`), key: readFileSync(`${TLS}.key.pem`) } : null;

/** First character of an answer where the session is not what it was; the load takes it for a wrong message. */
const LOST = '?';

/** The first character says what is to become of a message; those with `!` prepare something and are answered with `!`. */
function onMessage(client, message) {
  switch (message[0]) {
    case 'e':
      client.send(message);
      return;
    case 'b':
      gateway.sendToAll(message);
      return;
    case 'g':
      gateway.sendToGroup('bench', message);
      return;
    case 'u':
      gateway.sendToUid('bench', message);
      return;
    case 'l':
      gateway.sendToAll(message, { clientIds: list });
      return;
    case 's':
      client.send(sessionIsWhole(client) ? message : LOST + message.slice(1));
      return;
    case 'c':
      if (!sessionIsWhole(client)) {
        client.send(LOST + message.slice(1));
        return;
      }
      client.session.count++;
      client.send(message);
      return;
    case '!':
      prepare[message.slice(1).split(' ')[0]](client, ...message.split(' ').slice(1));
      client.send('!');
  }
}

/** A server that has lost the session does less work than it is measured for. */
function sessionIsWhole({ session }) {
  return session.text?.length === 1000;
}

const list = [];
const prepare = {
  session: (client) => {
    client.session = { text: 'x'.repeat(1000), count: 0 };
  },
  member: (client) => {
    client.joinGroup('bench');
    client.bindUid('bench');
    list.push(client.id);
  },
  /** Joins groups `from` … `to - 1` of those that only have to be there. */
  groups: (client, from, to) => {
    for (let number = Number(from); number < Number(to); number++) client.joinGroup(`other-${number}`);
  },
};

new Register(`text://${registerAddress}`);
new Gateway(`${PROTOCOL}://0.0.0.0:${CLIENT_PORT}`, {
  registerAddress,
  startPort: 0,
  count: Number(GATEWAYS),
  tls,
  perMessageDeflate: DEFLATE === '1',
});
new BusinessWorker({ registerAddress, events: { onMessage } });

// That events wait until the worker has joined, at the start, is no news.
await run({ logLevel: 'error', pidFile: join(FOLDER, 'ours.pid') });
