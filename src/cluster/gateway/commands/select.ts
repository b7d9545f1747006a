import type { Buffer } from 'node:buffer';
import { byteKey, parseSelectExt, type SelectCondition, serialize } from '../../protocol/mod.js';
import type { Group } from '../clients.js';
import type { CommandHandler, GatewayClientEntry, GatewayContext } from '../context.js';
import { nameBytes } from '../names.js';

/**
 * SELECT: connection id → the fields asked for, of every client that matches any of the conditions (or of all where there is
 * none). Fields are `uid`, `groups` and `session`; any other is null. The original gives away what else its connection
 * object holds.
 */
export const select: CommandHandler = (gateway, packet, from) => {
  const query = parseSelectExt(packet.extText());
  const rows = new Map<number, Map<string, unknown>>();
  // Everybody's nothing is nothing; but a client that was looked for is named also when nothing was asked of it.
  if (query !== undefined && (query.where !== null || query.fields.length > 0)) {
    for (const client of matching(gateway, query.where)) {
      if (rows.has(client.connectionId)) continue;
      const row = new Map<string, unknown>();
      for (const field of query.fields) row.set(field, fieldOf(client, field));
      rows.set(client.connectionId, row);
    }
  }
  from.reply(serialize(rows));
};

function* matching(gateway: GatewayContext, where: readonly SelectCondition[] | null): Iterable<GatewayClientEntry> {
  const { clients } = gateway;
  if (where === null) {
    yield* clients.all;
    return;
  }
  for (const condition of where) {
    if (condition.by === 'connection_id') {
      for (const id of condition.values) {
        const client = clients.get(id);
        if (client !== undefined) yield client;
      }
    } else {
      for (const name of condition.values) {
        yield* condition.by === 'uid' ? clients.withUid(byteKey(name)) : clients.inGroup(byteKey(name)).values();
      }
    }
  }
}

function fieldOf(client: GatewayClientEntry, field: string): unknown {
  switch (field) {
    case 'uid':
      return client.uid === null ? null : nameBytes(client.uid);
    case 'groups':
      return client.groups === null ? null : groupsOf(client.groups);
    case 'session':
      return client.session;
    default:
      return null;
  }
}

/** group → group, as PHP keeps it: the key is an integer where it looks like one, the value never. */
function groupsOf(groups: ReadonlySet<Group>): Map<Buffer, Buffer> {
  const named = new Map<Buffer, Buffer>();
  for (const { name } of groups) {
    const bytes = nameBytes(name);
    named.set(bytes, bytes);
  }
  return named;
}
