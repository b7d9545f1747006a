// The load as the benchmark sees it: processes of their own, and the groups of clients in them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { cpuOf } from '../measure/cpu.mjs';
import { pinned } from '../measure/machine.mjs';

const SCRIPT = fileURLToPath(new URL('./main.mjs', import.meta.url));
/** The second last number of the source addresses, another one for each group. */
let addresses = 0;

/** One process of the load. */
export class Load {
  #child;
  #waiting = new Map();
  #next = 0;

  constructor(core) {
    const [command, ...args] = pinned(core, [process.execPath, SCRIPT]);
    this.#child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', ({ id, answer, error }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(answer);
      else reject(new Error(`in the load: ${error}`));
    });
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the load ended: ${code ?? signal}`));
    });
  }

  call(operation, argument = {}) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, operation, ...argument });
    });
  }

  /** CPU seconds so far. */
  cpu() {
    return cpuOf([this.#child.pid]);
  }

  /** A group of clients of the server, none of them open yet. */
  async group(target) {
    const group = ++addresses;
    await this.call('create', { group, target: { ...target, addresses: group % 250 } });
    const call = (operation) => (argument) => this.call(operation, { ...argument, group });
    const [open, prepare, start, stop, read, close] = ['open', 'prepare', 'start', 'stop', 'read', 'close'].map(call);
    return {
      open: (count, atOnce) => open({ count, atOnce }),
      prepare: (texts) => prepare({ texts }),
      start: (flow) => start({ flow }),
      stop: () => stop(),
      read: () => read(),
      close: (count) => close({ count }),
    };
  }

  async end() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.disconnect();
    await once(this.#child, 'exit');
  }
}
