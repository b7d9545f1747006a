import type { Socket } from 'node:net';
import type { ErrorFields } from '../../../util/mod.js';
import type { ProcessState, ReloadOptions, ReloadResult } from '../engine.js';
import type { ConnectionRow, ServiceStatus } from '../status.js';
import { ControlError } from './errors.js';

/** The version of this protocol, which `docs/protocols/control.md` describes. */
export const PROTOCOL = 1;

/** A request is small: a command, and at most the names of workers. Bytes. */
export const LONGEST_REQUEST = 65_536;

/** A reply is a part of a list at most, or the status of very many processes with their stacks. Bytes. */
export const LONGEST_REPLY = 64 * 1024 * 1024;

/** Who answers, and in what state it is. */
export interface Hello {
  readonly protocol: number;
  readonly pid: number;
  readonly state: 'starting' | 'running' | 'stopping';
  /** It runs in the background. */
  readonly daemon: boolean;
  /** Of this package. */
  readonly version: string;
  /** `v20.19.0` */
  readonly node: string;
  /** `linux x64` */
  readonly system: string;
}

export interface StopRequest {
  readonly command: 'stop';
  readonly graceful?: boolean;
}

export interface ReloadRequest extends ReloadOptions {
  readonly command: 'reload';
}

export interface PlainRequest {
  readonly command: 'hello' | 'status' | 'connections';
}

/** What can be asked; a line of JSON, with the `id` that stands in its replies. */
export type Request = StopRequest | ReloadRequest | PlainRequest;

export type Command = Request['command'];

/** What the last reply to each command has. */
export interface Answers {
  readonly hello: Hello;
  readonly stop: null;
  readonly reload: ReloadResult;
  readonly status: ServiceStatus;
  readonly connections: null;
}

/** How far a stop or reload is. */
export interface Progress {
  readonly processes: readonly ProcessState[];
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly fields: ErrorFields;
}

/** One line from the service. Progress and parts may come before the answer or the error, which is the last. */
export type Reply<Asked extends Command = Command> =
  | { readonly progress: Progress }
  | { readonly part: readonly ConnectionRow[] }
  | { readonly answer: Answers[Asked] }
  | { readonly error: Failure };

/** null: the request could not be read as far as its id. */
export type Numbered<Message> = Message & { readonly id: number | null };

const SHAPES: Readonly<Record<Command, Readonly<Record<string, (value: unknown) => boolean>>>> = {
  hello: {},
  stop: { graceful: isFlag },
  reload: { graceful: isFlag, workers: (value) => value === null || isListOfTexts(value) },
  status: {},
  connections: {},
};

export function encode(message: Numbered<Request> | Numbered<Reply>): string {
  return `${JSON.stringify(message)}\n`;
}

/** @throws ControlError `GW_CONTROL_MALFORMED`, `GW_CONTROL_UNKNOWN_COMMAND`; its field `id` is that of the request */
export function readRequest(line: string): Numbered<Request> {
  const given = readObject(line);
  const { id, command, ...rest } = given ?? {};
  if (!isId(id)) throw malformed('a request is an object with a numeric id', null);
  if (typeof command !== 'string' || !Object.hasOwn(SHAPES, command)) {
    const known = Object.keys(SHAPES).join(', ');
    throw new ControlError('GW_CONTROL_UNKNOWN_COMMAND', `no such command; there are ${known}`, { id });
  }
  const shape = SHAPES[command as Command];
  for (const [name, value] of Object.entries(rest)) {
    const fits = Object.hasOwn(shape, name) && shape[name]?.(value);
    if (fits !== true) throw malformed(`${command} can't have this '${name.slice(0, 40)}'`, id);
  }
  return given as unknown as Numbered<Request>;
}

/** @throws ControlError `GW_CONTROL_MALFORMED` */
export function readReply(line: string): Numbered<Reply> {
  const reply = readObject(line);
  if (reply === undefined) throw malformed('the reply is no object', null);
  return reply as unknown as Numbered<Reply>;
}

/**
 * The lines that come by a socket, until it ends; what follows the last line end is dropped. Nothing is read from the
 * socket while a line is being dealt with.
 *
 * @throws ControlError `GW_CONTROL_TOO_LARGE`, and the errors of the socket
 */
export async function* readLines(socket: Socket, longest: number): AsyncGenerator<string> {
  let begun: Buffer[] = [];
  let length = 0;
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      refuseLonger(length + end - from, longest);
      yield Buffer.concat([...begun, chunk.subarray(from, end)]).toString();
      begun = [];
      length = 0;
      from = end + 1;
    }
    length += chunk.length - from;
    refuseLonger(length, longest);
    begun.push(chunk.subarray(from));
  }
}

function refuseLonger(length: number, longest: number): void {
  if (length > longest)
    throw new ControlError('GW_CONTROL_TOO_LARGE', `a line of more than ${longest} bytes`, { longest });
}

function readObject(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function malformed(what: string, id: number | null): ControlError {
  return new ControlError('GW_CONTROL_MALFORMED', what, { id });
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isFlag(value: unknown): boolean {
  return typeof value === 'boolean';
}

function isListOfTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}
