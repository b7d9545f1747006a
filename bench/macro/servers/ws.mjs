// The package ws: one process, no hop.
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { WebSocketServer } from 'ws';
import { collectWhileThereIs } from './collect.mjs';

const { CLIENT_PORT, TLS, DEFLATE, COLLECT } = process.env;
if (COLLECT) collectWhileThereIs(COLLECT);

const http = TLS
  ? createHttpsServer({ cert: readFileSync(`${TLS}.cert.pem`), key: readFileSync(`${TLS}.key.pem`) })
  : createHttpServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: DEFLATE === '1' });
const BROADCAST = 'b'.charCodeAt(0);
/** The bytes of a text go out as the text they are. */
const AS_TEXT = { binary: false };

server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data) => {
    if (data[0] === BROADCAST) for (const other of server.clients) other.send(data, AS_TEXT);
    else socket.send(data, AS_TEXT);
  });
});
http.listen({ port: Number(CLIENT_PORT), host: '0.0.0.0', backlog: 4096 });
