// A protocol of your own on a gateway port: JSON behind its length in four bytes. Handlers get and send plain values.
//
//   node examples/custom-protocol.js start
import { Buffer } from 'node:buffer';
import process from 'node:process';
import { BusinessWorker, Gateway, Register, run } from 'gatewayworker';

const { PORT = '8282', INNER_PORT = '2900', REGISTER_PORT = '1236' } = process.env;
const registerAddress = `127.0.0.1:${REGISTER_PORT}`;

const jsonWithLength = {
  name: 'json',
  // How long the first package in the buffer is; 0 while that can't be told yet.
  input: (buffer) => (buffer.length < 4 ? 0 : 4 + buffer.readUInt32BE(0)),
  decode: (bytes) => JSON.parse(bytes.toString('utf8', 4)),
  encode: (value) => {
    const json = Buffer.from(JSON.stringify(value));
    const head = Buffer.alloc(4);
    head.writeUInt32BE(json.length);
    return Buffer.concat([head, json]);
  },
};

new Register(`text://${registerAddress}`);
new Gateway(`tcp://127.0.0.1:${PORT}`, { registerAddress, startPort: Number(INNER_PORT), protocol: jsonWithLength });
new BusinessWorker({
  registerAddress,
  events: {
    onMessage: (client, { add = [], ...rest }) => client.send({ sum: add.reduce((a, b) => a + b, 0), ...rest }),
  },
});

await run({ logLevel: process.env.LOG_LEVEL });
