import { fileURLToPath } from 'node:url';
import { freePortPair, freePorts } from './free-port.js';
import { type Script, startScript } from './processes.js';

/** An example in processes of its own, on ports that were free a moment ago. */
export interface Example {
  readonly script: Script;
  readonly port: number;
  readonly textPort: number;
}

/** Starts `examples/<name>.js` and resolves when each gateway has its workers. */
export async function startExample(
  name: string,
  { links, env = {} }: { links: number; env?: Readonly<Record<string, string>> },
): Promise<Example> {
  const inner = await freePortPair();
  const [port = 0, textPort = 0, register = 0] = await freePorts(3);
  const script = startScript(fileURLToPath(new URL(`../../examples/${name}.js`, import.meta.url)), {
    args: ['start'],
    env: {
      PORT: String(port),
      TEXT_PORT: String(textPort),
      INNER_PORT: String(inner),
      REGISTER_PORT: String(register),
      LOG_LEVEL: 'debug',
      ...env,
    },
  });
  await script.outputMatching(/Press Ctrl\+C/);
  await script.outputMatching(new RegExp(`(?:a worker joined[\\s\\S]*){${links}}`));
  return { script, port, textPort };
}
