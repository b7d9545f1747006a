// node web.js: an ordinary web app, in a process (or on a machine) of its own, that pushes to the pages of its users.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import process from 'node:process';
import { GatewayClient } from 'gatewayworker';

const { REGISTER_PORT = '1236', WEBSOCKET_PORT = '8282', WEB_PORT = '8080' } = process.env;
const page = readFileSync(new URL('page.html', import.meta.url), 'utf8').replace('WEBSOCKET_PORT', WEBSOCKET_PORT);

// One for the whole app: it keeps its connections.
const push = new GatewayClient({ registerAddress: `127.0.0.1:${REGISTER_PORT}` });
await push.ready();

const routes = {
  'GET /': (_query, response) => response.setHeader('content-type', 'text/html; charset=utf-8').end(page),

  // The page has told us its client id. Who the user is, a real app takes from its own login, never from the query.
  'POST /bind': (query, response) => {
    push.bindUid(query.get('clientId'), query.get('user'));
    response.end('bound');
  },

  // Anything may happen in the app that a user should hear of at once.
  'POST /notify': (query, response) => {
    const taken = push.sendToUid(query.get('user'), JSON.stringify({ text: query.get('text') }));
    response.writeHead(taken ? 200 : 503).end();
  },
};

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  try {
    const route = routes[`${request.method} ${pathname}`];
    if (route === undefined) response.writeHead(404).end();
    else route(searchParams, response);
  } catch (error) {
    // A client id is user input: one that is malformed throws.
    response.writeHead(400).end(error.code);
  }
});
server.listen(Number(WEB_PORT), '127.0.0.1', () => console.log(`http://127.0.0.1:${WEB_PORT}/?user=ann`));

process.once('SIGTERM', async () => {
  server.close();
  server.closeAllConnections();
  await push.close();
});
