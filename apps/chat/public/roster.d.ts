import type { ClientKind, Line } from './lines.js';

export interface Client {
  readonly id: string;
  readonly name: string | null;
  /** Null as long as the server has not told. */
  readonly clientKind: ClientKind | null;
  /** The server has told name and kind; until then they are a guess. */
  readonly told: boolean;
}

export type Fact =
  /** `client` is this page. */
  | { readonly kind: 'self'; readonly client: Client }
  | { readonly kind: 'joined' | 'left'; readonly client: Client }
  /** What was shown under a guessed name can be put right. */
  | { readonly kind: 'named'; readonly client: Client }
  | { readonly kind: 'renamed'; readonly client: Client; readonly from: string }
  | { readonly kind: 'said'; readonly client: Client; readonly text: string }
  /** The list of who is here has changed, and there is nothing else to show. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'notice'; readonly text: string };

export interface Roster {
  readonly self: string | null;
  readonly clients: ReadonlyMap<string, Client>;
  readonly gone: ReadonlyMap<string, Client>;
}

export function createRoster(ownName: string | null): Roster;
export function applyLine(roster: Roster, line: Line): Fact[];
export function clientOf(roster: Roster, id: string): Client;
export function listClients(roster: Roster): Client[];
