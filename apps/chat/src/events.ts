import { type Client, gateway, QueryError, type WebSocketRequest } from 'gatewayworker';
import { settings } from './settings.js';

/**
 * The chat. Everybody in the room gets plain lines, so that telnet is enough to take part:
 *
 *   Hello <id>        to oneself, on connecting          <id> said <line>
 *   <id> login        somebody came                      <id> logout     somebody left
 *
 * A page (`?view=page&name=Ann`) is told names besides, as JSON: `roster`, `joined`, `renamed`.
 */
interface Session {
  kind: 'text' | 'web';
  name: string | null;
  page: boolean;
}

const PAGES = 'pages';
const MAX_NAME_LENGTH = 32;

export function onConnect(client: Client<Session>): void {
  const kind = client.gatewayPort === settings.textPort ? 'text' : 'web';
  client.session = { kind, name: null, page: false };
  client.send(`Hello ${client.id}`);
  gateway.sendToAll(`${client.id} login`);
  // Pages wait for a web client's handshake: it may bring a name.
  if (kind === 'text') tellPages({ type: 'joined', id: client.id, name: null, kind });
}

export async function onWebSocketConnect(client: Client<Session>, request: WebSocketRequest): Promise<void> {
  client.session.name = cleanName(request.query.name);
  client.session.page = request.query.view === 'page';
  tellPages({ type: 'joined', id: client.id, name: client.session.name, kind: 'web' });
  if (!client.session.page) return;
  client.joinGroup(PAGES);
  client.send(JSON.stringify({ type: 'roster', clients: await roster(client) }));
}

export function onMessage(client: Client<Session>, message: string | Buffer): void {
  const text = String(message);
  const newName = client.session.page ? readRename(text) : undefined;
  if (newName !== undefined) {
    client.session.name = newName;
    tellPages({ type: 'renamed', id: client.id, name: newName });
    return;
  }
  // A line feed would let a web client write lines in the name of others on every telnet screen.
  const line = text.replace(/[\r\n]+/g, ' ');
  if (line.trim() !== '') gateway.sendToAll(`${client.id} said ${line}`);
}

export function onClose(client: Client<Session>): void {
  gateway.sendToAll(`${client.id} logout`);
}

/** Everybody in the room, with what is known of them. */
async function roster(self: Client<Session>): Promise<object[]> {
  let sessions: Map<string, Partial<Session>>;
  try {
    sessions = await gateway.getAllClientSessions();
  } catch (error) {
    // A gateway that is just being restarted has nobody to report.
    if (!(error instanceof QueryError)) throw error;
    sessions = error.partial as Map<string, Partial<Session>>;
  }
  // Our own session is saved when the handler is done.
  sessions.set(self.id, self.session);
  return [...sessions].map(([id, { name = null, kind = 'web' }]) => ({ id, name, kind }));
}

function tellPages(fact: object): void {
  gateway.sendToGroup(PAGES, JSON.stringify(fact));
}

function readRename(text: string): string | null | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const { type, name } = JSON.parse(text) as { type?: unknown; name?: unknown };
    return type === 'rename' ? cleanName(name) : undefined;
  } catch {
    return undefined;
  }
}

/** One line of at most 32 characters without control characters; null for nothing. */
function cleanName(given: unknown): string | null {
  if (typeof given !== 'string') return null;
  const name = [...given.replace(/\p{C}/gu, ' ').trim()].slice(0, MAX_NAME_LENGTH).join('');
  return name === '' ? null : name;
}
