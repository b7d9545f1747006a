import { Buffer } from 'node:buffer';
import { type CodecLimits, type Reader, websocketCodec } from '../../src/core/protocols/mod.js';
import { request } from './client-frames.js';
import { cuttings, pushCopy, RecordingSink, type SinkEvent, WIDE } from './recording-sink.js';

/** A reader whose handshake is done. */
export function openReader(limits: CodecLimits = WIDE): Reader {
  const reader = websocketCodec.open(limits);
  pushCopy(reader, request(), new RecordingSink());
  return reader;
}

/** Events of frames behind a handshake, the same however they are cut. */
export function framesEveryWay(bytes: Buffer, limits: CodecLimits = WIDE): SinkEvent[] {
  let first: SinkEvent[] | undefined;
  for (const pieces of cuttings(bytes)) {
    const sink = new RecordingSink();
    const reader = openReader(limits);
    for (const piece of pieces) pushCopy(reader, piece, sink);
    first ??= sink.events;
    if (JSON.stringify(sink.events) !== JSON.stringify(first)) {
      const cut = pieces.map((piece) => piece.length).join('+');
      throw new Error(`cut ${cut}: ${JSON.stringify(sink.events)}\nwhole: ${JSON.stringify(first)}`);
    }
  }
  return first ?? [];
}

/** The code and reason in an unmasked close frame that stands as Latin-1 text. */
export function closeOf(frame: string | null | undefined): { code: number; reason: string } {
  const bytes = Buffer.from(frame ?? '', 'latin1');
  if (bytes[0] !== 0x88 || bytes[1] !== bytes.length - 2) throw new Error(`no close frame: ${bytes.toString('hex')}`);
  return { code: bytes.readUInt16BE(2), reason: bytes.toString('utf8', 4) };
}
