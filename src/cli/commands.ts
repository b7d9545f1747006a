import type { CommandLine } from './arguments.js';
import type { Command } from './commands/command.js';
import { connections } from './commands/connections.js';
import { reload } from './commands/reload.js';
import { restart } from './commands/restart.js';
import { start } from './commands/start.js';
import { status } from './commands/status.js';
import { stop } from './commands/stop.js';

interface Row extends CommandLine {
  readonly command: Command;
}

/** Adding a command is adding a row. */
export const COMMANDS = {
  start: {
    options: { '-d': 'daemon', '-q': 'quiet', '--watch': 'watch' },
    names: null,
    does: 'start in the foreground; -d in the background, -q without the banner, --watch reloading when files change',
    command: start,
  },
  stop: {
    options: { '-g': 'graceful' },
    names: null,
    does: 'stop in order; -g once all connections have ended by themselves',
    command: stop,
  },
  restart: {
    options: { '-d': 'daemon', '-g': 'graceful', '-q': 'quiet', '--watch': 'watch' },
    names: null,
    does: 'stop, if it runs, and start',
    command: restart,
  },
  reload: {
    options: { '-g': 'graceful' },
    names: 'worker',
    does: 'replace the processes one by one, of all workers or of those named; -g as their connections end',
    command: reload,
  },
  status: {
    options: { '-d': 'live', '-q': 'quiet', '--json': 'json' },
    names: null,
    does: 'show the processes; -d again every second, -q by the exit code alone',
    command: status,
  },
  connections: { options: { '--json': 'json' }, names: null, does: 'show all connections', command: connections },
} as const satisfies Readonly<Record<string, Row>>;
