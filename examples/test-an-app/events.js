/** A chat with rooms: `join <name> <room>`, then every line goes to the room. */
export function onMessage(client, message) {
  const [, name, room] = /^join (\S+) (\S+)$/.exec(message) ?? [];
  if (name !== undefined) {
    client.bindUid(name);
    client.joinGroup(room);
    client.session = { name, room };
    return client.send(`welcome to ${room}`);
  }
  const { session } = client;
  if (session.room === undefined) return client.send('join a room first');
  return client.gateway.sendToGroup(session.room, `${session.name}: ${message}`);
}

export function onClose(client) {
  const { name, room } = client.session;
  if (room !== undefined) client.gateway.sendToGroup(room, `${name} has left`);
}
