import process from 'node:process';

/**
 * What holds of connections over handles holds over the sockets of Node.js too: the tests of connections once more, with
 * nothing but sockets.
 */
process.env.GATEWAYWORKER_PLAIN_SOCKETS = '1';
await import('./tcp-connection.test.js');
await import('./connect-tcp.test.js');
await import('./backpressure.test.js');
await import('./listener.test.js');
await import('./local-socket.test.js');
await import('./websocket-connection.test.js');
