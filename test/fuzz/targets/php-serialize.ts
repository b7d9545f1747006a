import { Buffer } from 'node:buffer';
import {
  mergeSession,
  PhpSerializeError,
  serialize,
  serializeLike,
  unserialize,
} from '../../../src/cluster/protocol/mod.js';
import { vectors } from '../../cluster/protocol/support.js';
import { orRefused, type Target } from '../target.js';

const EXACT = { exact: true } as const;
const LIMITS = { maxDepth: 100, maxElements: 1000, maxBytes: 50_000 };
/** Between the two texts of a session. */
const BOUNDARY = '|UPDATE|';

const values = vectors<{ readonly hex: string }>('php-serialize').map(({ hex }) => Buffer.from(hex, 'hex'));
const merges = vectors<Record<'stored' | 'update', { readonly hex: string }>>('session-merge');

/** Texts of values, those that are to be refused too. */
export const VALUES: readonly Buffer[] = values.filter(({ length }) => length < 4000);

export const PHP_SERIALIZE: readonly Target[] = [
  { name: 'php-serialize', seeds: VALUES, run: value },
  {
    name: 'session-merge',
    seeds: merges.map(({ stored, update }) =>
      Buffer.concat([Buffer.from(stored.hex, 'hex'), Buffer.from(BOUNDARY), Buffer.from(update.hex, 'hex')]),
    ),
    run: merge,
  },
];

/** What can be read is written and read again as the same; what JavaScript makes of it, as well. */
function value(bytes: Buffer): void {
  orRefused(PhpSerializeError, () => unserialize(bytes, 0, bytes.length, LIMITS));
  const exact = orRefused(PhpSerializeError, () => unserialize(bytes, 0, bytes.length, EXACT));
  const plain = orRefused(PhpSerializeError, () => unserialize(bytes));
  if ((exact === undefined) !== (plain === undefined)) throw new Error('exactly or not, only one of them is refused');
  if (exact === undefined) return;
  const text = serialize(exact);
  const again = serialize(unserialize(text, 0, text.length, EXACT));
  if (!again.equals(text)) throw new Error(`${text.toString('latin1')} came back as ${again.toString('latin1')}`);
  // Nothing was changed, so nothing may change.
  const like = serializeLike(plain, bytes);
  if (!like.equals(text)) throw new Error(`exact: ${text.toString('latin1')}, like it: ${like.toString('latin1')}`);
  const ofPlain = serialize(plain);
  const plainAgain = serialize(unserialize(ofPlain));
  if (!plainAgain.equals(ofPlain)) {
    throw new Error(`${ofPlain.toString('latin1')} came back as ${plainAgain.toString('latin1')}`);
  }
}

function merge(bytes: Buffer): void {
  const at = bytes.indexOf(BOUNDARY);
  const stored = bytes.subarray(0, Math.max(0, at));
  const update = bytes.subarray(at < 0 ? 0 : at + BOUNDARY.length);
  const merged = orRefused(PhpSerializeError, () => mergeSession(stored, update));
  if (merged === undefined || stored.length === 0) return;
  const twice = mergeSession(merged, update);
  if (!twice.equals(merged)) throw new Error(`${merged.toString('latin1')} merged again: ${twice.toString('latin1')}`);
}
