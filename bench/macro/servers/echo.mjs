// The server of the echo benchmark: one gateway and one worker, as two processes, on the built package.
import { BusinessWorker, Gateway, Register, run } from '../../../dist/mod.js';

const { REGISTER_PORT, CLIENT_PORT, INNER_PORT } = process.env;
const registerAddress = `127.0.0.1:${REGISTER_PORT}`;

new Register(`text://${registerAddress}`);
new Gateway(`${process.env.SCHEME}://127.0.0.1:${CLIENT_PORT}`, { registerAddress, startPort: Number(INNER_PORT) });
new BusinessWorker({
  registerAddress,
  events: { onMessage: (client, message) => void client.send(message) },
});

await run({ logLevel: 'warn' });
