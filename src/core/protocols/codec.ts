import type { Buffer } from 'node:buffer';
import type { Arena } from '../../util/mod.js';
import type { ProtocolError } from './errors.js';

/**
 * What turns the bytes of one kind of connection into messages and back. A codec knows no socket, timer or log: whoever
 * owns the socket pushes chunks into a Reader and is told what they meant.
 *
 * A codec is shared by all connections of its kind; what differs per connection lives in the Reader.
 */
export interface Codec {
  /** `text`, `websocket` …, as it stands in a listen address. */
  readonly name: string;
  /** Messages are values of the protocol's own, to be handed to `encode` as they are; default: text and bytes. */
  readonly takesValues?: boolean;
  /** Readers may agree with their peers to another codec (`Reader.codec`) than the one that opened them. */
  readonly negotiates?: boolean;
  /** A reader for one new connection. */
  open(limits: CodecLimits): Reader;
  /**
   * Appends one framed message to the arena (reserve, write, move the offset).
   * A codec may refuse a value it cannot frame by throwing ProtocolError.
   *
   * @param data text, or bytes; a user-defined protocol takes what its `encode` takes
   * @param binary the message is binary rather than text, where the protocol tells them apart
   */
  encode(out: Arena, data: unknown, binary: boolean): void;
  /**
   * The same for bytes in place, buffer[start…end): what a gateway has of a message; default: `encode`. Never refuses.
   */
  encodeRange?(out: Arena, buffer: Buffer, start: number, end: number, binary: boolean): void;
  /**
   * Of a codec that was agreed on: appends what a frame buffer[start…end) of the codec that opened the reader becomes for
   * its peers; like `encode`, it reserves once. False: nothing was appended, they get that frame as it is.
   */
  recode?(out: Arena, buffer: Buffer, start: number, end: number): boolean;
  /** Appends what says goodbye before the connection is closed (a WebSocket close frame), where the protocol has it. */
  encodeClose?(out: Arena, code: number, reason: string): void;
  /** Appends a protocol-level ping, where the protocol has it. */
  encodePing?(out: Arena): void;
  /** The message as user code gets it: a string or Buffer made of buffer[start…end). */
  decode(buffer: Buffer, start: number, end: number, binary: boolean): string | Buffer;
}

/** Limits that a reader holds its peer to. Bytes. */
export interface CodecLimits {
  /** Largest message, with its framing; default 10,485,760 as in the original. */
  readonly maxPackageSize: number;
  /** Largest handshake request (WebSocket), with the empty line that ends it; default 16,384. */
  readonly maxHandshakeSize?: number;
  /** Most fragments a message may come in (WebSocket); default 131,072. */
  readonly maxFragments?: number;
}

/**
 * The reading side of one connection.
 *
 * `push` never keeps the chunk: bytes of an unfinished message are copied. It may change bytes inside the chunk (a
 * WebSocket reader unmasks in place). After `sink.fail`, a refused handshake or a close it parses nothing more and drops
 * what comes. After a `false` it holds what comes, and parses nothing until `resume`.
 *
 * A reader never throws. During a call its sink may call `resume`, which then has nothing to do, but not `push`.
 */
export interface Reader {
  /** Takes what one read returned. Messages come out through the sink, in order, during the call. */
  push(chunk: Buffer, sink: ReaderSink): void;
  /** Goes on with bytes that were held because the sink answered `false`; like `push` of nothing. */
  resume(sink: ReaderSink): void;
  /** The owner lets in whose handshake it had wait (`later`): answers it, then calls `opened`. Parses nothing. */
  admit?(sink: ReaderSink): void;
  /** Holds the peer to other limits from the next message on; a reader without it keeps those it was opened with. */
  relimit?(limits: CodecLimits): void;
  /** Bytes held: an unfinished message, or complete ones behind a pause. */
  readonly held: number;
  /** False while a handshake is not finished: frames may be encoded, but must wait before they are written. */
  readonly open: boolean;
  /** What encodes for this peer from `opened` on, where the handshake has agreed to another codec. */
  readonly codec?: Codec | undefined;
}

/**
 * What a reader tells its owner. Buffers and ranges are valid only during the call. The methods must not throw.
 *
 * The boolean answers "go on": on `false` (paused, closed) the reader holds what is left and returns.
 */
export interface ReaderSink {
  /** A complete message, as bytes in place. */
  message(buffer: Buffer, start: number, end: number, binary: boolean): boolean;
  /** A complete message that a user-defined protocol has decoded to a value of its own. */
  value(value: unknown): boolean;
  /**
   * A handshake request is complete and right; nothing has been answered. The owner may add header lines to `response`.
   * On `true` the reader answers (through `write`), then calls `opened`; on `false` the owner has refused or closed; on
   * `later` it holds what comes until `admit`, and then `resume`, which does nothing before that.
   */
  handshake(request: HandshakeRequest, response: HandshakeResponse): HandshakeVerdict;
  /** The handshake has been answered: what was queued for the peer may go out now. */
  opened(): boolean;
  /** Bytes the protocol itself wants written: a handshake answer, a pong. Copied or written before the call returns. */
  write(bytes: Buffer): void;
  /** A pong came (WebSocket). */
  pong(payload: Buffer): boolean;
  /**
   * The peer said goodbye (a WebSocket close frame, already answered through `write`): finish and close. `code` is 1005 where
   * the peer gave none. An owner that has said goodbye first drops the answer: nothing may follow a close frame.
   */
  ended(code: number, reason: string): void;
  /** The peer broke the protocol or a limit. `error.reply`, if any, is to be written before the connection is closed. */
  fail(error: ProtocolError): void;
}

/** The request that opens a WebSocket, parsed. */
export interface HandshakeRequest {
  readonly method: string;
  /** As sent: path and query. */
  readonly uri: string;
  /** `HTTP/1.1` */
  readonly protocol: string;
  /**
   * Lower-case name → value (Latin-1); repeated headers joined with a comma, cookies with `; `. In order of appearance, no
   * prototype.
   */
  readonly headers: Readonly<Record<string, string>>;
}

export type HandshakeVerdict = boolean | 'later';

/** What the owner may add to the answer. */
export interface HandshakeResponse {
  /**
   * Name → value, sent as they are. A name or value that is not allowed in a header, or a name that the handshake itself
   * answers with, makes the handshake fail: `GW_HANDSHAKE_RESPONSE`.
   */
  readonly headers: Record<string, string>;
}

/**
 * A user-defined protocol: the original's contract of three functions.
 *
 * @typeParam In what `decode` makes of a package, and user code gets
 * @typeParam Out what `encode` takes
 */
export interface Protocol<In = unknown, Out = unknown> {
  /** Shown in status pages; default `custom`. */
  readonly name?: string;
  /**
   * Length in bytes of the first package in `buffer`, counted from its beginning; 0 while that is not known yet;
   * negative when the bytes can't be of this protocol (the connection is closed).
   */
  input(buffer: Buffer, connection: ProtocolConnection): number;
  /** One complete package → what user code gets. `bytes` is valid only during the call. */
  decode(bytes: Buffer, connection: ProtocolConnection): In;
  /**
   * What user code sends → bytes. An empty result sends nothing. On the port of a gateway, text that workers send is a string
   * and bytes are a Buffer, valid only during the call; from workers of the original only what is no UTF-8 is a Buffer.
   */
  encode(data: Out): Buffer | string;
}

/** What a user-defined protocol may know of its connection. */
export interface ProtocolConnection {
  /** Scratch space of the protocol, empty at first, one object per connection. */
  readonly context: Record<string, unknown>;
}
