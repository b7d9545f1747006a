import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import process from 'node:process';
import type { Readable } from 'node:stream';
import type { ServiceOptions } from '../core/process/mod.js';
import { besideEntry, readServiceOptions, StartError, unwritable } from '../core/process/mod.js';
import { messageOf, openToAppend, stackOf } from '../util/mod.js';
import { EXIT_FAILED } from './exit-codes.js';

/** Makes a process the one in the background: the pid of the command that waits for it. */
const VARIABLE = 'GATEWAYWORKER_DAEMON';

/**
 * Where the process in the background says how its start went, once. A plain pipe, not Node's own channel: a process that has
 * one of those is taken for a child by other code (`process.send`), and this one is nobody's.
 */
const REPORT_FD = 3;

interface Report {
  readonly ready: boolean;
  readonly text: string;
}

interface Outcome extends Report {
  readonly exitCode: number;
}

let background: boolean | undefined;
let reported = false;
let lastError: string | undefined;

/** Whether this process is the one that was started in the background. */
export function inBackground(): boolean {
  if (background === undefined) {
    // Its parent is the command; a program that user code has started before this line has another one.
    background = process.env[VARIABLE] === String(process.ppid);
    delete process.env[VARIABLE];
    if (background) {
      process.on('uncaughtExceptionMonitor', (error) => {
        lastError = stackOf(error);
      });
      process.on('exit', () => {
        if (lastError !== undefined) report({ ready: false, text: lastError });
      });
    }
  }
  return background;
}

/** In the background: has the command print the text as a success, and end. */
export function reportReady(text: string): void {
  report({ ready: true, text });
}

/** In the background: has the command print the text as an error, and end with the exit code of this process. */
export function reportFailed(text: string): void {
  report({ ready: false, text });
}

/**
 * Starts this program once more, with the same arguments, as a process of its own: no terminal, no standard input, its
 * output in the `stdoutFile`. Waits until its workers are ready, prints what it reports, and exits with code 0; or with
 * its exit code when the start failed and nothing of it runs any more.
 *
 * @throws StartError `GW_START_NO_ENTRY`, `GW_START_FILE_UNWRITABLE`
 * @throws OptionsError
 */
export async function startInBackground(options: Partial<ServiceOptions>): Promise<never> {
  const { stdoutFile } = readServiceOptions(options);
  if (process.argv[1] === undefined) {
    throw new StartError(
      'GW_START_NO_ENTRY',
      'there is no entry script to run in the background; put the code in a file',
    );
  }
  const output = stdoutFile === null ? 'ignore' : openOutput(besideEntry(stdoutFile));
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    windowsHide: true,
    stdio: ['ignore', output, output, 'pipe'],
    env: { ...process.env, [VARIABLE]: String(process.pid) },
  });
  if (output !== 'ignore') closeSync(output);
  const { ready, text, exitCode } = await outcomeOf(child);
  if (!ready) console.error(text);
  else if (text !== '') console.log(text);
  return process.exit(exitCode);
}

function openOutput(path: string): number {
  try {
    return openToAppend(path);
  } catch (error) {
    throw unwritable('stdoutFile', path, error);
  }
}

function report(what: Report): void {
  if (reported) return;
  reported = true;
  try {
    writeSync(REPORT_FD, JSON.stringify(what));
    closeSync(REPORT_FD);
  } catch {
    // Nobody waits any more.
  }
}

function outcomeOf(child: ChildProcess): Promise<Outcome> {
  let interrupted = false;
  const interrupt = () => {
    interrupted = true;
    child.kill('SIGTERM');
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  // The service is to survive its terminal, also while it starts.
  process.on('SIGHUP', ignore);
  return new Promise((done) => {
    let said = '';
    const failed = (text: string, code: number | null = null) =>
      done({ ready: false, text, exitCode: code || EXIT_FAILED });
    child.once('error', (error) => failed(`the service could not be started in the background: ${messageOf(error)}`));
    const pipe = child.stdio[REPORT_FD] as Readable;
    pipe.setEncoding('utf8');
    pipe.on('data', (part) => {
      said += part;
    });
    pipe.once('end', () => {
      const report = readReport(said);
      if (report?.ready === true && !interrupted) done({ ...report, exitCode: 0 });
    });
    child.once('close', (code, signal) => {
      if (interrupted) return failed('interrupted; the service was not started');
      const how = signal === null ? `with exit code ${code}` : `by signal ${signal}`;
      const unsaid = `the service ended ${how} before it was ready; start it without -d to see why`;
      failed(readReport(said)?.text ?? unsaid, code);
    });
  });
}

function readReport(said: string): Report | undefined {
  return said === '' ? undefined : (JSON.parse(said) as Report);
}

function ignore(): void {}
