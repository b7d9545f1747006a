// node start.js start: the realtime side. It knows nothing of users; the web app (web.js) does.
import process from 'node:process';
import { BusinessWorker, Gateway, Register, run } from 'gatewayworker';

const { REGISTER_PORT = '1236', WEBSOCKET_PORT = '8282', INNER_PORT = '2900' } = process.env;
const registerAddress = `127.0.0.1:${REGISTER_PORT}`;

new Register(`text://${registerAddress}`);
new Gateway(`websocket://127.0.0.1:${WEBSOCKET_PORT}`, { registerAddress, startPort: Number(INNER_PORT) });
new BusinessWorker({ registerAddress, events: () => import('./events.js') });
await run();
