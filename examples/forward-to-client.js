// A client writes to another one, whose id it knows, and is told when that one is gone.
//
//   node examples/forward-to-client.js start
//   then in two windows: telnet 127.0.0.1 8282, and in one of them, with the id that the other shows: to <id> hello
import process from 'node:process';
import { BusinessWorker, Gateway, gateway, Register, run } from 'gatewayworker';

const { PORT = '8282', INNER_PORT = '2900', REGISTER_PORT = '1236' } = process.env;
const registerAddress = `127.0.0.1:${REGISTER_PORT}`;

new Register(`text://${registerAddress}`);
// Two processes: an id says which of them has the client, so the message goes to that one alone.
new Gateway(`text://127.0.0.1:${PORT}`, { registerAddress, startPort: Number(INNER_PORT), count: 2 });
new BusinessWorker({
  registerAddress,
  events: {
    onConnect: (client) => client.send(`you are ${client.id}`),
    async onMessage(client, message) {
      const [, id, text] = /^to (\S+) (.+)$/.exec(message) ?? [];
      if (id === undefined) return client.send('say: to <id> <message>');
      return client.send(await forward(id, `from ${client.id}: ${text}`));
    },
  },
});

/** What came of it, for the sender. */
async function forward(id, message) {
  try {
    // What is sent to a client that is gone vanishes without a word, so ask. It may still leave before the message is there:
    // where that matters, have the receiver answer.
    if (!(await gateway.isOnline(id))) return `${id} is gone`;
    return gateway.sendToClient(id, message) ? `forwarded to ${id}` : `${id} can't be reached now`;
  } catch (error) {
    // An id is user input: one that is malformed throws. So does the question when the client's gateway does not answer.
    return `not forwarded: ${error.code}`;
  }
}

await run({ logLevel: process.env.LOG_LEVEL });
