// Clients that no server is glad of: those that send garbage and those that do not read.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { WIRES } from '../macro/load/wires.mjs';

const GARBAGE = [
  () => randomBytes(200),
  () => Buffer.from('GET / HTTP/1.1\r\nHost: soak\r\n\r\n'),
  () => WIRES.websocket.hello(false),
  // A frame that is longer than it says, and one that is not masked.
  () => Buffer.concat([Buffer.from(WIRES.websocket.hello(true)), randomBytes(500)]),
  () => Buffer.from('{"event":"worker_connect","secret_key":"none"}\n'),
];

/** One connection that says something senseless and goes. */
export function garbage(port) {
  const socket = connect(port, '127.0.0.1', () => socket.end(GARBAGE[Math.floor(Math.random() * GARBAGE.length)]()));
  socket.resume();
  return over(socket, 2000);
}

/** One client that asks for more and more and reads none of it, for a while. */
export function slowReader(port) {
  const question = WIRES.text.frame(`e${'slow'.repeat(2000)}`);
  const socket = connect(port, '127.0.0.1', () => {
    socket.pause();
    for (let count = 0; count < 200; count++) socket.write(question);
  });
  return over(socket, 3000);
}

/** Resolves when the connection has ended, which it does within this time. */
function over(socket, milliseconds) {
  socket.on('error', () => {});
  const timer = setTimeout(() => socket.destroy(), milliseconds);
  return new Promise((resolve) => {
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
