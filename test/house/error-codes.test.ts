import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(fileURLToPath(import.meta.url), '../../..');
const CODE = /\bGW_[A-Z0-9]+(?:_[A-Z0-9]+)*\b/g;

const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(join(ROOT, 'src', file), 'utf8'));
/** What errors are made with stands in quotes; a comment may speak of `GW_LINK_…`. */
const inSource = new Set(
  sources.flatMap((source) => [...source.matchAll(/'(GW_[A-Z0-9_]+)'/g)].map((match) => match[1] ?? '')),
);
const page = readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| `GW_'));
const inRows = rows.map((row) => row.match(CODE)?.[0] ?? '');

describe('the error codes', () => {
  it('of the source stand in docs/reference/errors.md, each in a row of its own', () => {
    expect(inSource.size).toBeGreaterThan(50);
    expect([...inSource].filter((code) => !inRows.includes(code))).toEqual([]);
    expect(inRows.filter((code, index) => inRows.indexOf(code) !== index)).toEqual([]);
  });

  it('of docs/reference/errors.md stand in the source', () => {
    const mentioned = new Set(page.match(CODE) ?? []);
    expect([...mentioned].filter((code) => !inSource.has(code))).toEqual([]);
  });

  it('named in docstrings exist', () => {
    const mentioned = sources.flatMap((source) =>
      [...source.matchAll(/`(GW_[A-Z0-9_]+)`/g)].map((match) => match[1] ?? ''),
    );
    expect([...new Set(mentioned)].filter((code) => !inSource.has(code))).toEqual([]);
  });

  it('each say when they come, what fields they have and what to do', () => {
    for (const row of rows) {
      const cells = row
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim());
      expect(cells, row).toHaveLength(4);
      for (const cell of cells) expect(cell, row).not.toBe('');
    }
  });
});
