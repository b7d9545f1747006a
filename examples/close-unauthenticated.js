// Clients must say who they are within five seconds, or they are closed.
//
//   node examples/close-unauthenticated.js start
//   then connect with any WebSocket client to ws://127.0.0.1:8282 and send: sign in secret-of-ada
import process from 'node:process';
import { BusinessWorker, Gateway, Register, run } from 'gatewayworker';

const { PORT = '8282', INNER_PORT = '2900', REGISTER_PORT = '1236', SECONDS = '5' } = process.env;
const registerAddress = `127.0.0.1:${REGISTER_PORT}`;
const users = new Map([['secret-of-ada', 'ada']]);

new Register(`text://${registerAddress}`);

// The gateway counts the time itself; being bound to a uid ends it for good.
new Gateway(`websocket://127.0.0.1:${PORT}`, {
  registerAddress,
  startPort: Number(INNER_PORT),
  signInTimeout: Number(SECONDS),
});

new BusinessWorker({
  registerAddress,
  events: {
    onMessage(client, message) {
      const [, token] = /^sign in (.+)$/.exec(message) ?? [];
      const user = users.get(token);
      if (user === undefined) return client.send('sign in first');
      client.bindUid(user);
      return client.send(`welcome ${user}`);
    },
  },
});

await run({ logLevel: process.env.LOG_LEVEL });
