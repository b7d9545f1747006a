// What the server sends, one line (one WebSocket message) at a time. Everybody in the room, telnet users included, gets
// the plain lines; a page also gets JSON objects. A plain line from the room always begins with "Hello " or a client id,
// so what a user writes can never pass for JSON here.

const HELLO = /^Hello ([0-9a-f]{20})$/;
// `s`: a telnet user cannot send a line feed, but a web client could, and it stays part of its message.
const EVENT = /^([0-9a-f]{20}) (login|logout|said (.*))$/s;
const CLIENT_ID = /^[0-9a-f]{20}$/;

/** Reads one line. Never throws; what it cannot place is `other`, what it may skip is `ignored`. */
export function parseLine(text) {
  if (text.startsWith('{')) return parseObject(text);
  const hello = HELLO.exec(text);
  if (hello) return { kind: 'hello', id: hello[1] };
  const event = EVENT.exec(text);
  if (!event) return { kind: 'other', text };
  const [, id, verb, said] = event;
  if (said !== undefined) return { kind: 'said', id, text: said };
  return { kind: verb, id };
}

function parseObject(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return { kind: 'other', text };
  }
  switch (message.type) {
    case 'roster':
      if (!Array.isArray(message.clients)) return { kind: 'ignored' };
      return { kind: 'roster', clients: message.clients.filter(hasId).map(readClient) };
    case 'joined':
      return hasId(message) ? { kind: 'joined', ...readClient(message) } : { kind: 'ignored' };
    case 'renamed':
      return hasId(message) ? { kind: 'renamed', id: message.id, name: readName(message.name) } : { kind: 'ignored' };
    default:
      // A newer server may say more than this page knows.
      return { kind: 'ignored' };
  }
}

function hasId(value) {
  return typeof value?.id === 'string' && CLIENT_ID.test(value.id);
}

function readClient(value) {
  return { id: value.id, name: readName(value.name), clientKind: value.kind === 'web' ? 'web' : 'text' };
}

function readName(value) {
  return typeof value === 'string' && value.trim() !== '' ? value : null;
}
