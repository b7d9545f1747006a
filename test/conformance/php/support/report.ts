import { isDeepStrictEqual } from 'node:util';
import type { Caller, Effect } from './scenario.js';
import { DESTROY_CURRENT, STEPS } from './steps.js';

const TITLES: Readonly<Record<Caller, string>> = {
  lib: 'Lib\\Gateway in a PHP worker',
  ours: 'our functions in our worker',
  outside: 'GatewayClient of the original',
  'ours outside': 'our GatewayClient',
};

/** What each function did in each pairing, compared with the original alone. */
export class Report {
  readonly #tables: Readonly<Record<Caller, Map<string, Map<string, string>>>> = {
    lib: new Map(),
    ours: new Map(),
    outside: new Map(),
    'ours outside': new Map(),
  };
  readonly #pairings: Readonly<Record<Caller, Set<string>>> = {
    lib: new Set(),
    ours: new Set(),
    outside: new Set(),
    'ours outside': new Set(),
  };

  /** @returns what differs and should not */
  add(
    pairing: string,
    caller: Caller,
    effects: ReadonlyMap<number, Effect>,
    original: ReadonlyMap<number, Effect>,
  ): string[] {
    this.#pairings[caller].add(pairing);
    // A second attempt stands for itself.
    for (const row of this.#tables[caller].values()) row.delete(pairing);
    const wrong: string[] = [];
    for (const [index, effect] of effects) {
      const verdict = verdictOf(index, caller, effect, original.get(index));
      if (verdict.startsWith('differs')) wrong.push(`${JSON.stringify(effect.call)} ${verdict}`);
      const name = effect.call[0];
      const row = this.#tables[caller].get(name) ?? new Map<string, string>();
      this.#tables[caller].set(name, row);
      row.set(pairing, worse(row.get(pairing), verdict));
    }
    return wrong;
  }

  toString(): string {
    return (Object.keys(TITLES) as Caller[]).map((caller) => this.#table(caller)).join('\n\n');
  }

  #table(caller: Caller): string {
    const pairings = [...this.#pairings[caller]];
    const lines = [...this.#tables[caller]].map(([name, row]) => [
      name,
      ...pairings.map((pairing) => row.get(pairing) ?? ''),
    ]);
    const rows = [[TITLES[caller], ...pairings], ['---', ...pairings.map(() => '---')], ...lines];
    return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  }
}

function verdictOf(index: number, caller: Caller, effect: Effect, original: Effect | undefined): string {
  if (effect.outcome === 'missing') return 'differs: there is no such function';
  const step = STEPS[index] ?? DESTROY_CURRENT;
  const nothing = Object.values(effect.received).every((lines) => lines.length === 0);
  if (caller.startsWith('ours') && step.oursThrows === true) {
    return effect.outcome === 'throws' && nothing ? 'ok, bad values throw' : `differs: ${JSON.stringify(effect)}`;
  }
  if (original === undefined) return 'differs: nothing to compare with';
  const given = { outcome: effect.outcome, received: effect.received };
  const expected = { outcome: original.outcome, received: original.received };
  if (isDeepStrictEqual(given, expected)) return 'ok';
  return `differs: ${JSON.stringify(given)}, the original ${JSON.stringify(expected)}`;
}

function worse(a: string | undefined, b: string): string {
  if (a === undefined || a === 'ok') return b;
  return b.startsWith('differs') && !a.startsWith('differs') ? b : a;
}
