import { labelOf } from './names.js';

// Who has left is remembered for a while: a roster asked for before somebody left can arrive after it.
const GONE_LIMIT = 500;

/**
 * Who is in the room, as far as one connection has been told. `ownName` is what this page goes by until the server
 * says otherwise. A new connection starts with a new roster: all client ids are new to it.
 */
export function createRoster(ownName) {
  return { ownName, self: null, clients: new Map(), gone: new Map() };
}

/**
 * Takes in one parsed line, changes `roster` and returns what there is to show, in order. Lines may come in any order
 * around joining, and more than once; nobody is announced twice, and nobody comes back from the gone.
 */
export function applyLine(roster, line) {
  const handler = HANDLERS[line.kind];
  return handler ? handler(roster, line) : [];
}

/** The client, present or recently gone, or a nameless stand-in. */
export function clientOf(roster, id) {
  return roster.clients.get(id) ?? roster.gone.get(id) ?? { id, name: null, clientKind: null, told: false };
}

/** Everybody present: oneself first, the named by name, then the nameless. */
export function listClients(roster) {
  return [...roster.clients.values()].sort(
    (a, b) =>
      Number(b.id === roster.self) - Number(a.id === roster.self) ||
      Number(a.name === null) - Number(b.name === null) ||
      labelOf(a).localeCompare(labelOf(b)) ||
      (a.id < b.id ? -1 : 1),
  );
}

const HANDLERS = {
  hello(roster, { id }) {
    roster.self = id;
    const client = roster.clients.get(id) ?? add(roster, { id, name: null, clientKind: 'web' }, false);
    if (!client.told) client.name = roster.ownName;
    // `self` announces it; the login line may come before or after.
    client.announced = true;
    return [{ kind: 'self', client }];
  },

  login(roster, { id }) {
    if (roster.gone.has(id)) return [];
    return announce(roster.clients.get(id) ?? add(roster, { id, name: null, clientKind: null }, false));
  },

  joined(roster, { id, name, clientKind }) {
    if (roster.gone.has(id)) return [];
    const facts = tell(roster, { id, name, clientKind });
    return [...facts, ...announce(roster.clients.get(id))];
  },

  roster(roster, { clients }) {
    const facts = [];
    for (const listed of clients) {
      if (roster.gone.has(listed.id)) continue;
      const isNew = !roster.clients.has(listed.id);
      // What was told one by one is newer than the list, which takes longer to collect.
      if (!isNew && roster.clients.get(listed.id).told) continue;
      facts.push(...tell(roster, listed));
      // They were here before us: their login is no news.
      if (isNew) roster.clients.get(listed.id).announced = true;
    }
    return [...facts, { kind: 'changed' }];
  },

  renamed(roster, { id, name }) {
    if (roster.gone.has(id)) return [];
    const client = roster.clients.get(id);
    if (!client?.told) return tell(roster, { id, name, clientKind: client?.clientKind ?? null });
    if (client.name === name) return [];
    const from = labelOf(client);
    client.name = name;
    return [{ kind: 'renamed', client, from }];
  },

  said(roster, { id, text }) {
    // Who speaks is here, even if nobody has said so.
    const isNew = !roster.clients.has(id) && !roster.gone.has(id);
    const client = isNew ? add(roster, { id, name: null, clientKind: null }, false) : clientOf(roster, id);
    if (isNew) client.announced = true;
    return [{ kind: 'said', client, text }];
  },

  logout(roster, { id }) {
    if (roster.gone.has(id)) return [];
    const client = clientOf(roster, id);
    roster.clients.delete(id);
    roster.gone.set(id, client);
    if (roster.gone.size > GONE_LIMIT) roster.gone.delete(roster.gone.keys().next().value);
    return [{ kind: 'left', client }];
  },

  other(_roster, { text }) {
    return [{ kind: 'notice', text }];
  },
};

function add(roster, { id, name, clientKind }, told) {
  const client = { id, name, clientKind, told, announced: false };
  roster.clients.set(id, client);
  return client;
}

/** Name and kind have been told by the server. */
function tell(roster, { id, name, clientKind }) {
  const client = roster.clients.get(id);
  if (!client) {
    add(roster, { id, name, clientKind }, true);
    return [{ kind: 'changed' }];
  }
  Object.assign(client, { name, clientKind, told: true });
  return [{ kind: 'named', client }];
}

function announce(client) {
  if (client.announced) return [];
  client.announced = true;
  return [{ kind: 'joined', client }];
}
