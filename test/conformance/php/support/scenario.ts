import type { GatewayClient } from '../../../../src/client.js';
import { eventually } from '../../../support/eventually.js';
import { outcomeOf } from '../fixtures/calls.mjs';
import type { FixtureCall, Guest, Kind, MixedCluster, Outcome, Talking } from './mixed-cluster.js';
import { type Call, DESTROY_CURRENT, type Shape, STEPS, type Step } from './steps.js';

/** Who calls: a PHP worker, ours; from outside GatewayClient of the original, ours. */
export type Caller = 'lib' | 'ours' | 'outside' | 'ours outside';

/** What one step did: the answer, and what each client got of it. */
export interface Effect {
  readonly call: Call;
  readonly outcome: unknown;
  readonly received: Readonly<Record<string, readonly string[]>>;
}

/** S only watches and hears the results, P is the one that calls. */
type Guests = Record<'A' | 'B' | 'C' | 'D' | 'P' | 'S', Guest>;

/** `@A` … as the original's ids, and back. */
type Names = ReadonlyMap<string, string>;

const NOBODY = '7f00000900010000002a';

/** Goes through all steps with fresh clients; the place of a step in STEPS → what it did. */
export async function played(cluster: MixedCluster, caller: Caller, pauseMs = 0): Promise<Map<number, Effect>> {
  const { gateways, workers } = cluster.made;
  const first = gateways[0] as Kind;
  const last = gateways.at(-1) as Kind;
  const worker = isOutside(caller) ? (workers[0] as Kind) : caller === 'lib' ? 'php' : 'ours';
  const guests: Guests = {
    S: await cluster.guest(first, 'text', worker),
    A: await cluster.guest(first, 'text', workers[0] as Kind),
    B: await cluster.guest(last, 'text', workers.at(-1) as Kind),
    C: await cluster.guest(first, 'websocket', workers.at(-1) as Kind),
    D: await cluster.guest(last, 'websocket', workers[0] as Kind),
    P: await cluster.guest(last, 'text', worker),
  };
  const names = new Map(Object.entries(guests).map(([name, { id }]) => [`@${name}`, id]));
  names.set('@none', `${guests.A.id.slice(0, 12)}fffffff0`);
  names.set('@nowhere', NOBODY);
  const client = caller === 'ours outside' ? cluster.client() : null;
  await client?.ready();
  const hall = new Hall(guests, names, client);
  await allThere(cluster, caller, hall);
  const effects = new Map<number, Effect>();
  hall.forget();
  if (caller === 'outside') {
    const steps = [...STEPS.entries()].flatMap(([index, step]) => {
      const call = callOf(step, caller);
      return call === null ? [] : [{ index, step, call }];
    });
    const calls = steps.map(({ call }) => fixtureCall(call, names, hall.ids()));
    const outcomes = await cluster.callFromOutside(calls, pauseMs);
    for (const [number, { index, step, call }] of steps.entries()) {
      const received = await hall.until(`mark ${number}`);
      effects.set(index, { call, outcome: compared(outcomes[number] as Outcome, step.shape, names), received });
    }
  } else {
    for (const [index, step] of STEPS.entries()) {
      const call = callOf(step, caller);
      if (call !== null) {
        const outcome = await hall.call(index, call);
        const received = await hall.until(`mark ${index}`);
        effects.set(index, { call, outcome: compared(outcome, step.shape, names), received });
      } else if (step.lib !== null && step.outside !== null && step.shape === 'sent') {
        // The steps behind it count on what it would have done.
        await cluster.callFromOutside([fixtureCall(step.lib, names, hall.ids())], 30);
        await hall.until('mark 0');
      }
    }
  }
  if (!isOutside(caller)) {
    const another = await cluster.guest(first, 'text', worker);
    names.set('@P', another.id);
    guests.P = another;
    const call = callOf(DESTROY_CURRENT, caller) as Call;
    hall.forget();
    const outcome = await hall.call(STEPS.length, call);
    const received = await hall.until(`mark ${STEPS.length}`);
    effects.set(STEPS.length, { call, outcome: compared(outcome, DESTROY_CURRENT.shape, names), received });
  }
  await Promise.all(Object.values(guests).map(({ talker }) => talker.leave()));
  return effects;
}

export function callOf(step: Step, caller: Caller): Call | null {
  const outside = step.outside === undefined ? step.lib : step.outside;
  switch (caller) {
    case 'lib':
      return step.lib;
    case 'outside':
      return outside;
    case 'ours':
      return step.ours;
    default:
      // From outside there is no current client, whose id is to be told then, as the original has it.
      return step.ours !== null && /^client\.|CurrentClient$/.test(step.ours[0]) ? outside : step.ours;
  }
}

function isOutside(caller: Caller): boolean {
  return caller === 'outside' || caller === 'ours outside';
}

/** The clients of a scenario, and what they hear between two marks. */
class Hall {
  readonly #guests: Readonly<Guests>;
  readonly #names: Names;
  readonly #client: GatewayClient | null;
  readonly #from = new Map<string, number>();
  readonly #ended = new Set<Talking>();

  /** @param client the one that calls; null: a worker does, when P asks it to */
  constructor(guests: Readonly<Guests>, names: Names, client: GatewayClient | null) {
    this.#guests = guests;
    this.#names = names;
    this.#client = client;
  }

  get size(): number {
    return Object.keys(this.#guests).length;
  }

  ids(): string[] {
    return Object.values(this.#guests).flatMap(({ talker, id }) => (talker.connected ? [id] : []));
  }

  /** What was heard until now does not count. */
  forget(): void {
    for (const [name, { talker }] of Object.entries(this.#guests)) this.#from.set(name, talker.heard.length);
  }

  async call(number: number, call: Call, marks = this.ids()): Promise<Outcome> {
    const { P, S } = this.#guests;
    const what = fixtureCall(call, this.#names, marks);
    if (this.#client !== null) {
      const outcome = await outcomeOf(this.#client, what.name, what.arguments);
      // In the order of the calls, whatever became of them: nothing has to be waited for in between.
      for (const id of marks) this.#client.sendToClient(id, `mark ${number}`);
      return JSON.parse(outcome);
    }
    P.talker.say(`call ${number} ${JSON.stringify({ ...what, to: S.id })}`);
    const [, json] = (await S.talker.hears(new RegExp(`^result ${number} (.*)$`))) as RegExpExecArray;
    return JSON.parse(json as string);
  }

  /** What each has heard before the mark, or before its end. */
  async until(mark: string): Promise<Record<string, string[]>> {
    const received: Record<string, string[]> = {};
    for (const [name, { talker }] of Object.entries(this.#guests)) {
      const from = this.#from.get(name) ?? 0;
      await eventually(`'${mark}' at ${name}`, () => talker.heard.indexOf(mark, from) >= 0 || !talker.connected);
      const at = talker.heard.indexOf(mark, from);
      const to = at < 0 ? talker.heard.length : at;
      const lines = talker.heard.slice(from, to).filter((line) => !/ (login|logout)$|^result |^ws /.test(line));
      // Told once.
      received[name] = at < 0 && !this.#ended.has(talker) ? [...lines, 'the end'] : lines;
      if (at < 0) this.#ended.add(talker);
      this.#from.set(name, at < 0 ? to : at + 1);
    }
    return received;
  }
}

/** Those who came while the clients were being placed must have left before anybody is counted. */
async function allThere(cluster: MixedCluster, caller: Caller, hall: Hall): Promise<void> {
  let asked = 100_000;
  await eventually('only the guests to be there', async () => {
    const call = { name: 'getAllClientIdCount', arguments: [], marks: [] };
    const outcome =
      caller === 'outside' ? (await cluster.callFromOutside([call]))[0] : await hall.call(++asked, [call.name], []);
    return outcome !== undefined && 'answer' in outcome && outcome.answer === hall.size;
  });
}

function fixtureCall([name, ...args]: Call, names: Names, marks: readonly string[]): FixtureCall {
  return { name, arguments: args.map((arg) => withIds(arg, names)), marks };
}

function withIds(value: unknown, names: Names): unknown {
  if (typeof value === 'string') return names.get(value) ?? value;
  if (Array.isArray(value)) return value.map((item) => withIds(item, names));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withIds(item, names)]));
}

/** An outcome in a form in which those of the original and ours can be compared. */
function compared(outcome: Outcome, shape: Shape, names: Names): unknown {
  if ('missing' in outcome) return 'missing';
  if ('throws' in outcome) return 'throws';
  let json = JSON.stringify(outcome.answer);
  for (const [name, id] of names) json = json.replaceAll(id, name);
  const answer = JSON.parse(json);
  const isObject = typeof answer === 'object' && answer !== null;
  switch (shape) {
    case 'sent':
      return answer === false ? 'not sent' : 'sent';
    case 'boolean':
      return answer === 1 || answer === true;
    case 'ids':
      return isObject ? Object.values(answer).map(String).sort() : answer;
    case 'counts':
      return isObject ? sorted(Object.entries(answer).map(([key, count]) => [key, Number(count)])) : answer;
    case 'groups':
      return isObject
        ? sorted(
            Object.entries(answer).map(([key, ids]) => [
              key,
              Object.values(ids as object)
                .map(String)
                .sort(),
            ]),
          )
        : answer;
    default:
      return ordered(answer);
  }
}

function sorted(entries: [string, unknown][]): [string, unknown][] {
  return entries.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Keys in order, and the empty list like the empty map: to PHP they are one. */
function ordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.length === 0 ? {} : value.map(ordered);
  return Object.fromEntries(sorted(Object.entries(value)).map(([key, item]) => [key, ordered(item)]));
}
