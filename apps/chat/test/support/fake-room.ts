import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

interface Member {
  readonly id: string;
  readonly socket: WebSocket | undefined;
  name: string | null;
}

/** The chat server as a page sees it, in one process and without a cluster behind it. */
export class FakeRoom {
  /** Lines the pages sent, commands too. */
  readonly received: string[] = [];
  /** The request targets pages connected with. */
  readonly targets: string[] = [];
  /** Lines of pages reach nobody, as on a connection that is about to break. */
  deaf = false;
  readonly #server: WebSocketServer;
  readonly #members = new Map<string, Member>();
  static #lastId = 0x1f39;

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket, request) => this.#socketOnOpen(socket, request.url ?? '/'));
  }

  /** Listens on 127.0.0.1; port 0 takes a free one, and a number the one a room had before it was closed. */
  static async open(port = 0): Promise<FakeRoom> {
    const server = new WebSocketServer({ host: '127.0.0.1', port });
    await once(server, 'listening');
    return new FakeRoom(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Goes away as a killed process does: no goodbye on any connection. */
  async close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Somebody without a page joins. */
  joinText(name: string | null = null): string {
    return this.#join({ id: FakeRoom.#nextId(), socket: undefined, name });
  }

  leave(id: string): void {
    this.#members.delete(id);
    this.toAll(`${id} logout`);
  }

  say(id: string, text: string): void {
    this.toAll(`${id} said ${text}`);
  }

  toAll(line: string): void {
    for (const { socket } of this.#members.values()) socket?.send(line);
  }

  #socketOnOpen(socket: WebSocket, target: string): void {
    this.targets.push(target);
    const name = new URL(target, 'ws://room').searchParams.get('name');
    const member: Member = { id: FakeRoom.#nextId(), socket, name };
    socket.send(`Hello ${member.id}`);
    this.#join(member);
    const clients = [...this.#members.values()].map((each) => describe(each));
    socket.send(JSON.stringify({ type: 'roster', clients }));
    socket.on('message', (data) => this.#socketOnLine(member, String(data)));
    socket.on('close', () => this.leave(member.id));
  }

  #socketOnLine(member: Member, line: string): void {
    this.received.push(line);
    if (this.deaf) return;
    if (!line.startsWith('{')) {
      this.say(member.id, line);
      return;
    }
    member.name = (JSON.parse(line) as { name: string }).name;
    this.toAll(JSON.stringify({ type: 'renamed', id: member.id, name: member.name }));
  }

  #join(member: Member): string {
    this.#members.set(member.id, member);
    this.toAll(`${member.id} login`);
    this.toAll(JSON.stringify({ type: 'joined', ...describe(member) }));
    return member.id;
  }

  static #nextId(): string {
    FakeRoom.#lastId++;
    return FakeRoom.#lastId.toString(16).padStart(20, '0');
  }
}

function describe({ id, name, socket }: Member): object {
  return { id, name, kind: socket ? 'web' : 'text' };
}
