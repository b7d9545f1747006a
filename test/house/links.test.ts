import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { pageText } from '../support/pages.js';

const ROOT = resolve(fileURLToPath(import.meta.url), '../../..');
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file)),
];

describe('the pages', () => {
  it('link only to files and headings that are there', () => {
    const broken = pages.flatMap((page) =>
      [...pageText(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)]
        .filter(([, path = '', anchor]) => !leads(path === '' ? page : join(dirname(page), path), anchor))
        .map(([link]) => `${page}: ${link}`),
    );
    expect(pages.length).toBeGreaterThan(10);
    expect(broken).toEqual([]);
  });

  it('name only examples that are there', () => {
    const named = pages.flatMap((page) =>
      [...pageText(page).matchAll(/`(examples\/[\w./-]+)`/g)].map(([, path]) => path ?? ''),
    );
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});

function leads(path: string, anchor: string | undefined): boolean {
  if (!existsSync(join(ROOT, path))) return false;
  if (anchor === undefined) return true;
  return statSync(join(ROOT, path)).isFile() && anchorsOf(path).includes(anchor);
}

/** As GitHub makes them: lower case, blanks to hyphens, everything else that is no letter, digit or hyphen left out. */
function anchorsOf(path: string): string[] {
  return [...pageText(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
