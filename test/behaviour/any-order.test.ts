import { fileURLToPath } from 'node:url';
import { afterEach, describe, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { freePortPair, freePorts } from '../support/free-port.js';
import { endScripts, type Script, startScript } from '../support/processes.js';
import { TextTalker } from '../support/talkers.js';

const SCRIPT = fileURLToPath(new URL('./fixtures/cluster.mjs', import.meta.url));
const PARTS = ['register', 'gateway', 'worker'] as const;

afterEach(endScripts);

type Part = (typeof PARTS)[number];

/** A cluster whose parts are programs of their own. */
class Apart {
  readonly #env: Readonly<Record<string, string>>;
  readonly #textPort: number;
  readonly #running = new Map<Part, Script>();

  private constructor(env: Readonly<Record<string, string>>, textPort: number) {
    this.#env = env;
    this.#textPort = textPort;
  }

  static async prepare(): Promise<Apart> {
    const [textPort = 0, registerPort = 0] = await freePorts(2);
    const env = {
      REGISTER_PORT: String(registerPort),
      TEXT_PORT: String(textPort),
      INNER_PORT: String(await freePortPair()),
    };
    return new Apart(env, textPort);
  }

  async start(part: Part): Promise<void> {
    const script = startScript(SCRIPT, { env: { ...this.#env, PARTS: part } });
    await script.outputMatching(/^started/m);
    this.#running.set(part, script);
  }

  async stop(part: Part): Promise<void> {
    const script = this.#running.get(part);
    script?.kill('SIGTERM');
    await script?.exit();
  }

  /** A client gets its greeting and its own words back. */
  async serves(): Promise<void> {
    const client = await TextTalker.connect(this.#textPort);
    const id = (await client.hears(/^Hello ([0-9a-f]{20})$/))[1];
    await eventually('the client to hear itself', async () => {
      client.say('anybody there?');
      await new Promise((resolve) => setTimeout(resolve, 50));
      return client.heard.includes(`${id} said anybody there?`);
    });
    await client.leave();
  }
}

describe('register, gateways and workers find each other', () => {
  for (const order of permutations(PARTS)) {
    it(`when started in the order ${order.join(', ')}`, async () => {
      const cluster = await Apart.prepare();
      for (const part of order) await cluster.start(part);
      await cluster.serves();
    });
  }

  it('again after any of them was restarted', async () => {
    const cluster = await Apart.prepare();
    for (const part of PARTS) await cluster.start(part);
    await cluster.serves();
    for (const part of PARTS) {
      await cluster.stop(part);
      await cluster.start(part);
      await cluster.serves();
    }
  });
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, index) => {
    const others = items.filter((_, other) => other !== index);
    return permutations(others).map((rest) => [item, ...rest]);
  });
}
