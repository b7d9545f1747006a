import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SERVICE_CHECKS, SERVICE_DEFAULTS } from '../../src/core/process/service-options.js';

const page = readFileSync(new URL('../../docs/reference/service.md', import.meta.url), 'utf8');
const table = /## Options\n([\s\S]*?)\n## /.exec(page)?.[1] ?? '';
const rows = table
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

describe('the options of run() in docs/reference/service.md', () => {
  it('are those that there are, with their defaults', () => {
    const shown = (value: unknown) => (typeof value === 'string' ? `\`'${value}'\`` : `\`${value}\``);
    const written = rows.map(([name, , byDefault]) => [name, byDefault]);
    const real = Object.entries(SERVICE_DEFAULTS).map(([name, value]) => [`\`${name}\``, shown(value)]);
    expect(written.sort()).toEqual(real.sort());
    expect(Object.keys(SERVICE_CHECKS).sort()).toEqual(Object.keys(SERVICE_DEFAULTS).sort());
  });

  it('each have a type and a meaning', () => {
    for (const [name, type, , meaning] of rows) expect([name, type, meaning]).not.toContain('');
    expect(rows.every((row) => row.length === 4)).toBe(true);
  });

  it('and links within the page lead somewhere', () => {
    const anchors = [...page.matchAll(/^##+ (.+)$/gm)].map((match) => match[1]?.toLowerCase().replaceAll(' ', '-'));
    const links = [...page.matchAll(/\]\(#([^)]+)\)/g)].map((match) => match[1]);
    expect(links.filter((link) => !anchors.includes(link))).toEqual([]);
  });
});
