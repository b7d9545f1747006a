// Socket.IO over WebSocket: one process, no hop.
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { Server } from 'socket.io';
import { collectWhileThereIs } from './collect.mjs';

const { CLIENT_PORT, TLS, COLLECT } = process.env;
if (COLLECT) collectWhileThereIs(COLLECT);

const http = TLS
  ? createHttpsServer({ cert: readFileSync(`${TLS}.cert.pem`), key: readFileSync(`${TLS}.key.pem`) })
  : createHttpServer();
const server = new Server(http, { transports: ['websocket'], serveClient: false, maxHttpBufferSize: 10_485_760 });

server.on('connection', (socket) => {
  socket.on('message', (message) => {
    if (message[0] === 'b') server.emit('message', message);
    else socket.emit('message', message);
  });
});
http.listen({ port: Number(CLIENT_PORT), host: '0.0.0.0', backlog: 4096 });
