import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { type Script, type ScriptOptions, startScript } from './processes.js';
import { required } from './required.js';

/** A machine of its own as far as its network goes: a namespace of Linux with one address, beside the others on one wire. */
export interface Host {
  readonly name: string;
  readonly address: string;
  /** Starts `node script …` there. */
  start(script: string, options?: ScriptOptions): Script;
  /** Pulls its plug, and puts it back. */
  setUp(up: boolean): void;
}

/** Why there can be no hosts here; undefined: there can. */
export function noHosts(): string | undefined {
  try {
    const name = `gw-${process.pid}-try`;
    ip('netns', 'add', name);
    ip('netns', 'del', name);
    return undefined;
  } catch (error) {
    return required('netns', `no network namespaces (needs Linux, root and ip of iproute2): ${String(error)}`);
  }
}

let networks = 0;
const made: string[] = [];

/** Hosts on one wire, on which nothing is besides but the test itself. `removeHosts` takes them away. */
export function makeHosts(names: readonly string[]): Host[] {
  const network = `gw-${process.pid}-${++networks}`;
  // Of the test's own process, so that test files that run at once do not share one.
  const subnet = `10.${100 + (process.pid % 100)}.${networks}`;
  const wire = `${network}-wire`;
  namespace(wire);
  inside(wire, 'link', 'add', 'wire', 'type', 'bridge');
  inside(wire, 'link', 'set', 'wire', 'up');
  const own = `gw${process.pid % 100_000}n${networks}`;
  ip('link', 'add', own, 'type', 'veth', 'peer', 'name', 'test', 'netns', wire);
  inside(wire, 'link', 'set', 'test', 'master', 'wire', 'up');
  ip('address', 'add', `${subnet}.254/24`, 'dev', own);
  ip('link', 'set', own, 'up');
  return names.map((name, index) => {
    const space = `${network}-${name}`;
    const address = `${subnet}.${index + 1}`;
    const plug = `plug${index}`;
    namespace(space);
    inside(space, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', plug, 'netns', wire);
    inside(wire, 'link', 'set', plug, 'master', 'wire', 'up');
    inside(space, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    inside(space, 'link', 'set', 'lo', 'up');
    inside(space, 'link', 'set', 'eth0', 'up');
    return {
      name,
      address,
      start: (script, options = {}) => startScript(script, { ...options, within: ['ip', 'netns', 'exec', space] }),
      setUp: (up) => inside(wire, 'link', 'set', plug, up ? 'up' : 'down'),
    };
  });
}

/** For `afterEach`, behind `endScripts`. */
export function removeHosts(): void {
  for (const space of made.splice(0)) ip('netns', 'del', space);
}

function namespace(space: string): void {
  ip('netns', 'add', space);
  made.push(space);
}

function inside(space: string, ...args: string[]): void {
  ip('-n', space, ...args);
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}
