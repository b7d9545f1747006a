// Messages by interest: a client joins one group for each of its tags, and a message to a tag reaches everyone who has it.
//
//   node examples/groups-by-tag.js start
//   then connect with any WebSocket client to ws://127.0.0.1:8282 and send: tags tea chess
//   and from another one: #tea who would like a cup?
import process from 'node:process';
import { BusinessWorker, Gateway, gateway, Register, run } from 'gatewayworker';

const { PORT = '8282', INNER_PORT = '2900', REGISTER_PORT = '1236' } = process.env;
const registerAddress = `127.0.0.1:${REGISTER_PORT}`;

/** A tag is what a client writes; with a prefix it can't be the name of a group that the app has for something else. */
const groupOf = (tag) => `tag:${tag}`;
/** What a client can make grow has a limit. */
const MAX_TAGS = 20;

new Register(`text://${registerAddress}`);
// Two processes: members of a group may be anywhere, and whoever sends to it need not know.
new Gateway(`websocket://127.0.0.1:${PORT}`, { registerAddress, startPort: Number(INNER_PORT), count: 2 });
new BusinessWorker({
  registerAddress,
  events: {
    onMessage(client, message) {
      const [, list] = /^tags\b(.*)$/.exec(message) ?? [];
      if (list !== undefined) return setTags(client, new Set(list.match(/\w+/g)));
      const [, tag, text] = /^#(\w+) (.+)$/.exec(message) ?? [];
      if (tag === undefined) return client.send('say: tags <tag> <tag> …, or: #<tag> <message>');
      return gateway.sendToGroup(groupOf(tag), `${client.id} to #${tag}: ${text}`);
    },
    // A client that leaves has left its groups, too.
  },
});

/** The client's tags from now on, in place of those it had; the session knows these. */
function setTags(client, wanted) {
  const { tags: old = [] } = client.session;
  const tags = [...wanted].slice(0, MAX_TAGS);
  for (const tag of old) if (!tags.includes(tag)) client.leaveGroup(groupOf(tag));
  for (const tag of tags) client.joinGroup(groupOf(tag));
  client.session.tags = tags;
  client.send(`${client.id} has the tags ${tags.join(', ') || 'none'}`);
}

await run({ logLevel: process.env.LOG_LEVEL });
