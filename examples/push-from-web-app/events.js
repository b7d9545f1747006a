/** A page is told its client id, and shows it to the web app. */
export function onWebSocketConnect(client) {
  client.send(JSON.stringify({ clientId: client.id }));
}
