// A router of your own: all players of a room are served by the same worker process, so that the room can live in its memory.
//
//   node examples/own-router.js start
//   then: telnet 127.0.0.1 8282, and send: room red
import process from 'node:process';
import { BusinessWorker, Gateway, Register, run } from 'gatewayworker';

const { PORT = '8282', INNER_PORT = '2900', REGISTER_PORT = '1236' } = process.env;
const registerAddress = `127.0.0.1:${REGISTER_PORT}`;

/** The same room gives the same worker in every gateway process, whatever order the workers came in. */
function byRoom(workers, client) {
  const keys = [...workers.keys()].sort();
  const room = String(client.session.room ?? '');
  let sum = 0;
  for (const character of room) sum += character.charCodeAt(0);
  return keys[sum % keys.length];
}

new Register(`text://${registerAddress}`);
new Gateway(`text://127.0.0.1:${PORT}`, { registerAddress, startPort: Number(INNER_PORT), router: byRoom });

/** Members of the rooms of this process. */
const rooms = new Map();

new BusinessWorker({
  count: 2,
  registerAddress,
  events: {
    onMessage(client, message) {
      const [, room] = /^room (\w+)$/.exec(message) ?? [];
      if (room !== undefined) {
        // From the next message on, the router sees it.
        client.session.room = room;
        return client.send(`in ${room}`);
      }
      const { room: current = 'none' } = client.session;
      const members = rooms.get(current) ?? new Set();
      rooms.set(current, members.add(client.id));
      return client.send(`${current} has ${members.size} in process ${process.pid}`);
    },
    onClose(client) {
      for (const members of rooms.values()) members.delete(client.id);
    },
  },
});

await run({ logLevel: process.env.LOG_LEVEL });
