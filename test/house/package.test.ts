import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

interface Entry {
  readonly source: string;
  readonly types: string;
  readonly default: string;
}

const ROOT = resolve(fileURLToPath(import.meta.url), '../../..');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, Entry | string>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies?: unknown;
  readonly peerDependencies?: unknown;
  readonly optionalDependencies?: unknown;
  readonly files: readonly string[];
};
const entries = Object.entries(manifest.exports).filter(
  (entry): entry is [string, Entry] => typeof entry[1] === 'object',
);
const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);

describe('the package', () => {
  it('has a source for each subpath, and types and code of the same name', () => {
    expect(entries.length).toBeGreaterThan(0);
    for (const [subpath, entry] of entries) {
      expect(existsSync(join(ROOT, entry.source)), `${subpath}: ${entry.source}`).toBe(true);
      const built = entry.source.replace('./src/', './dist/').replace(/\.ts$/, '');
      expect(entry, subpath).toEqual({ source: entry.source, types: `${built}.d.ts`, default: `${built}.js` });
      // The first that fits is taken: types must stand before code.
      expect(Object.keys(entry), subpath).toEqual(['source', 'types', 'default']);
    }
  });

  it.skipIf(!existsSync(join(ROOT, 'dist')))('has a built file and its types for each subpath', () => {
    for (const [subpath, entry] of entries) {
      for (const file of [entry.default, entry.types])
        expect(existsSync(join(ROOT, file)), `${subpath}: ${file}`).toBe(true);
    }
  });

  it('has a command that the system can run', () => {
    expect(Object.keys(manifest.bin)).toEqual(['gatewayworker']);
    for (const built of Object.values(manifest.bin)) {
      const source = built.replace('./dist/', './src/').replace(/\.js$/, '.ts');
      expect(readFileSync(join(ROOT, source), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
    }
  });

  it('needs no other package at run time', () => {
    expect(manifest.dependencies).toBeUndefined();
    expect(manifest.peerDependencies).toBeUndefined();
    expect(manifest.optionalDependencies).toBeUndefined();
  });

  it('publishes code and sources, which source maps point to', () => {
    expect(manifest.files).toEqual(expect.arrayContaining(['dist', 'src']));
  });
});

describe('the front doors', () => {
  it('name what they export', () => {
    for (const [subpath, { source }] of entries) {
      const code = codeOf(readFileSync(join(ROOT, source), 'utf8'));
      expect(code, subpath).not.toMatch(/export\s+(?:type\s+)?\*/);
    }
  });

  it('do nothing but export', () => {
    for (const [subpath, { source }] of entries) {
      const left = codeOf(readFileSync(join(ROOT, source), 'utf8')).replace(
        /export\s+(?:type\s+)?\{[^}]*\}\s+from\s+'[^']+';/g,
        '',
      );
      expect(left.trim(), subpath).toBe('');
    }
  });
});

describe('the sources', () => {
  const using = (pattern: RegExp, except: RegExp = /^$/) =>
    files.filter((file) => !except.test(file) && pattern.test(codeOf(readFileSync(join(ROOT, 'src', file), 'utf8'))));

  it('write to the console only in cli', () => {
    expect(using(/\bconsole\s*[.[]/, /^cli\//)).toEqual([]);
  });

  it('have no default exports', () => {
    expect(using(/^export\s+default\b|\bas\s+default\b/m)).toEqual([]);
  });

  it('have no enums', () => {
    expect(using(/^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s+\w+\s*\{/m)).toEqual([]);
  });

  it('are free of comments and texts when they are searched', () => {
    expect(
      codeOf('a(); // console.log\n/* enum X { */ b(\'console.x\', `console.y`, "console.z");').match(/console|enum/),
    ).toBeNull();
    expect(codeOf('const a = 1; console.log(a);')).toContain('console.');
    expect(files.length).toBeGreaterThan(50);
  });
});

/** A source without comments and texts; what is imported keeps its name. */
function codeOf(source: string): string {
  return source
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '$1')
    .replace(/(?<!from\s)'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g, "''");
}
