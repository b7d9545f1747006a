import type { Codec } from './codec.js';
import { frameCodec } from './frame.js';
import { tcpCodec } from './tcp.js';
import { textCodec } from './text.js';
import { websocketCodec } from './websocket/mod.js';

const CODECS: ReadonlyMap<string, Codec> = new Map(
  [tcpCodec, textCodec, frameCodec, websocketCodec].map((codec) => [codec.name, codec]),
);

/** The codec that a listen address names: `tcp`, `text`, `frame` or `websocket`. */
export function codecByName(name: string): Codec | undefined {
  return CODECS.get(name);
}
