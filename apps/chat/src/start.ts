import { createServer, type Server } from 'node:http';
import { BusinessWorker, Gateway, Register, run, Worker } from 'gatewayworker';
import { settings } from './settings.js';
import { startWeb } from './web.js';

const { host, textPort, webSocketPort, webPort, innerPort } = settings;
const { registerAddress, lanIp, secretKey } = settings;
/** What every part of the cluster is told, on whichever host it runs. */
const cluster = { registerAddress, secretKey };

new Register(`text://${registerAddress}`, { secretKey });

// One room for both: the business code does not know by which gateway a client came in.
new Gateway(`text://${host}:${textPort}`, { name: 'TextGateway', ...cluster, lanIp, startPort: innerPort });
new Gateway(`websocket://${host}:${webSocketPort}`, {
  name: 'WebSocketGateway',
  ...cluster,
  lanIp,
  startPort: innerPort + 1,
  maxPackageSize: 65_536,
});

new BusinessWorker({ name: 'ChatWorker', count: 2, ...cluster, events: () => import('./events.js') });

let web: Server = createServer();
new Worker(null, {
  name: 'ChatPage',
  // It has its port for itself: a new process could not listen while the old one still does.
  reloadable: false,
  onWorkerStart: async () => {
    try {
      web = await startWeb({ host: '127.0.0.1', port: webPort, webSocketPort });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
      const what = `cannot listen on http://127.0.0.1:${webPort}: the port is in use`;
      throw new Error(`${what}; stop the program that uses it or choose another port with CHAT_WEB_PORT`, { cause });
    }
  },
  onWorkerStop: () => {
    web.closeAllConnections();
    web.close();
  },
});

await run({ logLevel: settings.logLevel });

console.log(`
  Talk in a terminal:   telnet 127.0.0.1 ${textPort}
  Talk in a browser:    http://127.0.0.1:${webPort}
  Any WebSocket client: ws://127.0.0.1:${webSocketPort}
`);
