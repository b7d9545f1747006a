import { describe, expect, expectTypeOf, it } from 'vitest';
import { loadEvents } from '../../../src/cluster/business/events.js';
import {
  BusinessWorker,
  type Client,
  type Events,
  EventsError,
  type EventsSource,
} from '../../../src/cluster/business/mod.js';

const handler = () => {};

describe('the events module', () => {
  it('may be an object, a promise of one, or a function that gives either', async () => {
    const events: Events = { onMessage: handler };
    for (const source of [events, () => events, async () => events, Promise.resolve(events)] as EventsSource[]) {
      expect(await load(source)).toEqual({ events, warnings: [] });
    }
  });

  it('may be a default export, unless it exports events beside', async () => {
    const { events } = await load(() => importFixture('./fixtures/default-events.mjs'));
    expect(Object.keys(events)).toEqual(['onMessage']);
    const both = { default: { onClose: handler }, onMessage: handler };
    expect((await load(() => both)).events).toBe(both);
  });

  it('may be an instance of a class, whose handlers keep their this', async () => {
    class Chat {
      readonly seen: unknown[] = [];
      onMessage(_client: Client, message: unknown): void {
        this.seen.push(message);
      }
    }
    const chat = new Chat();
    const { events } = await load(chat);
    events.onMessage?.({} as Client, 'x', { redelivered: false });
    expect(chat.seen).toEqual(['x']);
  });

  it('may export more than events, without a word', async () => {
    const { warnings } = await load({ onMessage: handler, only: 1, onlyAdmins: handler, once: handler } as Events);
    expect(warnings).toEqual([]);
  });

  it('is told of an export that looks like an event', async () => {
    const { warnings } = await load({ onMessage: handler, onMesage: handler, onconnect: handler, onOpen: 1 } as Events);
    expect(warnings).toEqual([
      "the events module exports 'onMesage', which is no event; did you mean 'onMessage'?",
      "the events module exports 'onconnect', which is no event; did you mean 'onConnect'?",
    ]);
  });

  it('that is missing is an error that says where to look', async () => {
    const error = await failure(() => importFixture('./fixtures/absent.mjs'));
    expect(error).toBeInstanceOf(EventsError);
    expect(error.code).toBe('GW_EVENTS_NOT_LOADED');
    expect(error.message).toContain('absent.mjs');
    expect(error.message).toContain('that it was built');
    expect(error.cause).toBeInstanceOf(Error);
  });

  it('that throws while loading is an error with the reason', async () => {
    const error = await failure(() => importFixture('./fixtures/throwing-events.mjs'));
    expect(error).toMatchObject({ code: 'GW_EVENTS_NOT_LOADED', cause: { message: 'thrown while loading' } });
    expect(error.message).toContain('thrown while loading');
  });

  it('without handlers is an error, which names the misspelt ones', async () => {
    expect(await failure({})).toMatchObject({ code: 'GW_EVENTS_INVALID' });
    const error = await failure({ onMesage: handler } as Events);
    expect(error.message).toContain("it exports 'onMesage', which is no event; did you mean 'onMessage'?");
    for (const value of [{ default: undefined }, { default: null }, { default: 5 }, { default: handler }]) {
      expect(await failure(() => value as Events)).toMatchObject({ code: 'GW_EVENTS_INVALID' });
    }
  });

  it('with an object where a function belongs is an error that names it', async () => {
    const error = await failure({ onConnect: handler, onMessage: {} } as unknown as Events);
    expect(error).toMatchObject({ code: 'GW_EVENTS_INVALID', fields: { name: 'onMessage' } });
  });

  it('that is no object is an error', async () => {
    expect((await failure(() => null as unknown as Events)).message).toContain('got null');
    expect((await failure(() => 'text' as unknown as Events)).message).toContain('got string');
  });
});

describe('the options of a BusinessWorker', () => {
  it('need events', () => {
    expect(() => new BusinessWorker({})).toThrow(
      expect.objectContaining({ code: 'GW_OPTION_MISSING', fields: { option: 'events' } }),
    );
  });

  it('are refused when they are unknown or of the wrong type', () => {
    const events = { onMessage: handler };
    const wrong: [object, string][] = [
      [{ event: events }, "did you mean 'events'?"],
      [{ events, registeraddress: 'x:1' }, "did you mean 'registerAddress'?"],
      [{ events: './events.js' }, "() => import('./events.js')"],
      [{ events, count: 0 }, "'count'"],
      [{ events, queryTimeout: 0 }, "'queryTimeout'"],
      [{ events, binary: 1 }, "'binary'"],
      [{ events, maxPendingBytes: 0 }, "'maxPendingBytes'"],
      [{ events, maxPendingBytesPerClient: 1.5 }, "'maxPendingBytesPerClient'"],
      [{ events, registerAddress: [] }, "'registerAddress'"],
    ];
    for (const [options, text] of wrong) expect(() => new BusinessWorker(options), text).toThrow(text);
  });
});

describe('the types of handlers', () => {
  interface Session {
    name?: string;
    cart: { id: number }[];
  }

  it('let an app type its session', () => {
    expectTypeOf<Client<Session>['session']>().toEqualTypeOf<Session>();
    expectTypeOf<Client['session']>().toEqualTypeOf<Record<string, unknown>>();
    expectTypeOf<Client<Session>['send']>().returns.toEqualTypeOf<boolean>();
    // @ts-expect-error a session is an object
    type NoSession = Client<string>;
    expectTypeOf<NoSession>().not.toBeNever();
  });

  it('let a module with sessions of its own be the events', () => {
    const module = {
      async onConnect(client: Client<Session>) {
        client.session.cart = [{ id: 1 }];
        // @ts-expect-error not a name
        client.session.name = 5;
      },
      onMessage(client: Client<Session>, message: string | Buffer) {
        return client.send(message);
      },
      helper: (value: number) => value,
    };
    expectTypeOf(module).toExtend<Events>();
    expectTypeOf<() => Promise<typeof module>>().toExtend<EventsSource>();
    expectTypeOf<{ onMessage: string }>().not.toExtend<Events>();
  });
});

async function load(source: EventsSource): Promise<{ events: Events; warnings: string[] }> {
  const warnings: string[] = [];
  return { events: await loadEvents(source, (message) => warnings.push(message)), warnings };
}

async function failure(source: EventsSource): Promise<EventsError> {
  return loadEvents(source, () => {}).then(
    () => expect.fail('it was loaded'),
    (error: EventsError) => error,
  );
}

/** By a name that the compiler does not follow. */
function importFixture(path: string): Promise<Events> {
  return import(new URL(path, import.meta.url).href);
}
