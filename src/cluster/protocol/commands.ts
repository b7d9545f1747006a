/**
 * The commands of GatewayProtocol, under the original's names without their `CMD_`.
 *
 * To a worker go the events and PING; everything else is sent to a gateway.
 */
export const Command = {
  ON_CONNECT: 1,
  ON_MESSAGE: 3,
  ON_CLOSE: 4,
  SEND_TO_ONE: 5,
  SEND_TO_ALL: 6,
  KICK: 7,
  DESTROY: 8,
  UPDATE_SESSION: 9,
  GET_ALL_CLIENT_SESSIONS: 10,
  IS_ONLINE: 11,
  BIND_UID: 12,
  UNBIND_UID: 13,
  SEND_TO_UID: 14,
  GET_CLIENT_ID_BY_UID: 15,
  BATCH_GET_CLIENT_ID_BY_UID: 16,
  JOIN_GROUP: 20,
  LEAVE_GROUP: 21,
  SEND_TO_GROUP: 22,
  GET_CLIENT_SESSIONS_BY_GROUP: 23,
  GET_CLIENT_COUNT_BY_GROUP: 24,
  SELECT: 25,
  GET_GROUP_ID_LIST: 26,
  UNGROUP: 27,
  BATCH_GET_CLIENT_COUNT_BY_GROUP: 28,
  WORKER_CONNECT: 200,
  PING: 201,
  GATEWAY_CLIENT_CONNECT: 202,
  GET_SESSION_BY_CLIENT_ID: 203,
  SET_SESSION: 204,
  ON_WEBSOCKET_CONNECT: 205,
  /** Ours alone: a gateway's answer to a worker that announced extensions; see docs/protocols/link.md. */
  EXTENSIONS: 220,
  /** Ours alone, and those below (extension `draining`): a worker leaves; the same back: the last event was sent. */
  DRAIN: 221,
  /** All clients of the worker that leaves are done with, but these. */
  BUSY: 222,
  /** This one too is done with. */
  DONE: 223,
  /** Ours alone, and the one below (extension `groups`), from a gateway: your send found nobody in this group. */
  ABSENT: 224,
  /** Send me what is for this group again. */
  PRESENT: 225,
  /** Ours alone, and those below (extension `acknowledgements`), from a worker: these events are handled. */
  ACK: 226,
  /** From a gateway: this client has had no event on this link; should the gateway die, its onClose is yours to tell. */
  KEEP: 227,
  /** From a gateway: this client is another worker's now. */
  FORGET: 228,
} as const;

export type CommandName = keyof typeof Command;
export type Command = (typeof Command)[CommandName];

/** What happened to a client; sent by a gateway to one worker. */
export const EVENT_COMMANDS = [
  Command.ON_CONNECT,
  Command.ON_WEBSOCKET_CONNECT,
  Command.ON_MESSAGE,
  Command.ON_CLOSE,
] as const;

/** Asked of a gateway, which gives exactly one answer on the same connection, also when it is empty. */
export const QUERY_COMMANDS = [
  Command.GET_ALL_CLIENT_SESSIONS,
  Command.IS_ONLINE,
  Command.GET_CLIENT_ID_BY_UID,
  Command.BATCH_GET_CLIENT_ID_BY_UID,
  Command.GET_CLIENT_SESSIONS_BY_GROUP,
  Command.GET_CLIENT_COUNT_BY_GROUP,
  Command.SELECT,
  Command.GET_GROUP_ID_LIST,
  Command.BATCH_GET_CLIENT_COUNT_BY_GROUP,
  Command.GET_SESSION_BY_CLIENT_ID,
] as const;

/** Carried out by a gateway, which answers nothing. */
export const LONG_COMMANDS = [
  Command.SEND_TO_ONE,
  Command.SEND_TO_ALL,
  Command.SEND_TO_UID,
  Command.SEND_TO_GROUP,
  Command.KICK,
  Command.DESTROY,
  Command.UPDATE_SESSION,
  Command.SET_SESSION,
  Command.BIND_UID,
  Command.UNBIND_UID,
  Command.JOIN_GROUP,
  Command.LEAVE_GROUP,
  Command.UNGROUP,
] as const;

/** Sent to a gateway by a worker that leaves. */
export const LEAVING_COMMANDS = [Command.DRAIN, Command.BUSY, Command.DONE] as const;

export type EventCommand = (typeof EVENT_COMMANDS)[number];
export type QueryCommand = (typeof QUERY_COMMANDS)[number];
export type LongCommand = (typeof LONG_COMMANDS)[number];
export type LeavingCommand = (typeof LEAVING_COMMANDS)[number];

/** The body is plain bytes; clear, it is a PHP-serialized value. Whoever fills a PacketHead sets it. */
export const FLAG_SCALAR = 1;
/** On send commands: the gateway writes the body to the client as it is, without its protocol's framing. */
export const FLAG_RAW = 2;

/** Ours alone, between peers that agreed on `binary`: the body is binary rather than text. */
export const FLAG_BINARY = 4;

/**
 * Ours alone, on events between peers that agreed on `acknowledgements`: four bits. 0: it was not sent before. Otherwise how many
 * workers may have begun with it and did not acknowledge it, one at least.
 */
export const FLAGS_REDELIVERED = 0x78;
const REDELIVERED_SHIFT = 3;
/** What the four bits can say. */
export const MAX_REDELIVERIES = 15;

/** What those bits say. */
export function redeliveries(flag: number): number {
  return (flag & FLAGS_REDELIVERED) >> REDELIVERED_SHIFT;
}

/**
 * The flags of an event that is sent once more; the bits must not say `MAX_REDELIVERIES` yet.
 *
 * @param suspect its handler may have begun, and be what the worker died of; one behind it can't have been the cause
 */
export function redelivered(flag: number, suspect: boolean): number {
  return suspect || redeliveries(flag) === 0 ? flag + (1 << REDELIVERED_SHIFT) : flag;
}

const queries: ReadonlySet<number> = new Set(QUERY_COMMANDS);
const names: ReadonlyMap<number, string> = new Map(Object.entries(Command).map(([name, cmd]) => [cmd, name]));

export function isQuery(cmd: number): cmd is QueryCommand {
  return queries.has(cmd);
}

/** Asked for every event at both ends: comparing is cheaper than looking up. */
export function isEvent(cmd: number): cmd is EventCommand {
  return (
    cmd === Command.ON_MESSAGE ||
    cmd === Command.ON_CONNECT ||
    cmd === Command.ON_CLOSE ||
    cmd === Command.ON_WEBSOCKET_CONNECT
  );
}

/** For messages: `SEND_TO_ALL`, or `command 99`. */
export function commandName(cmd: number): string {
  return names.get(cmd) ?? `command ${cmd}`;
}
