export type ClientKind = 'web' | 'text';

export interface ListedClient {
  readonly id: string;
  /** Null for who has none, as over telnet. */
  readonly name: string | null;
  readonly clientKind: ClientKind;
}

export type Line =
  | { readonly kind: 'hello' | 'login' | 'logout'; readonly id: string }
  | { readonly kind: 'said'; readonly id: string; readonly text: string }
  | { readonly kind: 'roster'; readonly clients: readonly ListedClient[] }
  | ({ readonly kind: 'joined' } & ListedClient)
  | { readonly kind: 'renamed'; readonly id: string; readonly name: string | null }
  | { readonly kind: 'other'; readonly text: string }
  | { readonly kind: 'ignored' };

export function parseLine(text: string): Line;
