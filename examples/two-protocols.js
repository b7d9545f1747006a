// One chat for browsers and for terminals: two gateways, one worker. The business code is the same for both.
//
//   node examples/two-protocols.js start
//   then: telnet 127.0.0.1 8283, and any WebSocket client to ws://127.0.0.1:8282
import process from 'node:process';
import { BusinessWorker, Gateway, gateway, Register, run } from 'gatewayworker';

const { PORT = '8282', TEXT_PORT = '8283', INNER_PORT = '2900', REGISTER_PORT = '1236' } = process.env;
const registerAddress = `127.0.0.1:${REGISTER_PORT}`;

new Register(`text://${registerAddress}`);
new Gateway(`websocket://127.0.0.1:${PORT}`, { name: 'Browsers', registerAddress, startPort: Number(INNER_PORT) });
new Gateway(`text://127.0.0.1:${TEXT_PORT}`, { name: 'Terminals', registerAddress, startPort: Number(INNER_PORT) + 1 });
new BusinessWorker({
  registerAddress,
  events: {
    onMessage(client, message) {
      // The port tells where somebody came in.
      const where = client.gatewayPort === Number(TEXT_PORT) ? 'a terminal' : 'a browser';
      gateway.sendToAll(`from ${where}: ${message}`);
    },
  },
});

await run({ logLevel: process.env.LOG_LEVEL });
