import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/**
 * Who may import whom, by folder of src. A folder may always import itself and what it stands above; a file directly in
 * src is a front door and may import every folder.
 */
const NET = ['util', 'core/protocols', 'core/timers', 'core/net'];
const CORE = [...NET, 'core/process'];
const LINK = [...CORE, 'cluster/protocol', 'cluster/link'];
const API = [...LINK, 'cluster/api'];
const CLUSTER = [...API, 'cluster/business', 'cluster/gateway', 'cluster/register'];

const DIRECTIONS: Readonly<Record<string, readonly string[]>> = {
  util: [],
  'core/protocols': ['util'],
  'core/timers': ['util'],
  'core/net': NET,
  'core/process': CORE,
  'cluster/protocol': ['util'],
  'cluster/link': LINK,
  'cluster/api': API,
  // These three never import one another: they meet in protocol, link and api.
  'cluster/business': API,
  'cluster/gateway': API,
  'cluster/register': LINK,
  cli: CLUSTER,
  testing: [...CLUSTER, 'cli'],
};

interface Import {
  readonly from: string;
  /** Path of the imported file below src, or the bare name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
  readonly relative: boolean;
}

const SRC = resolve(dirname(fileURLToPath(import.meta.url)), '../../src');
const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const imports = files.flatMap(importsOf);

describe('the directions of imports', () => {
  it('knows every folder of src', () => {
    const folders = new Set(files.map(folderOf).filter((folder) => folder !== ''));
    expect([...folders].sort()).toEqual(Object.keys(DIRECTIONS).sort());
  });

  it('point one way', () => {
    const wrong = imports.filter(({ from, to, relative }) => {
      if (!relative) return false;
      const source = folderOf(from);
      const target = folderOf(to);
      if (source === '' || source === target) return false;
      return !DIRECTIONS[source]?.includes(target);
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  it('cross a folder only through its door', () => {
    const wrong = imports.filter(({ from, to, relative }) => {
      if (!relative || folderOf(from) === folderOf(to)) return false;
      return to !== join(folderOf(to), 'mod.ts');
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  it('reach only node: built-ins outside, and all of them by that name', () => {
    const wrong = imports.filter(({ to, relative }) => !relative && !to.startsWith('node:'));
    expect(wrong.map(describeImport)).toEqual([]);
  });

  it('go round in no circle at run time', () => {
    expect(findCycle(imports.filter(({ typeOnly, relative }) => relative && !typeOnly))).toEqual([]);
  });
});

describe('the check itself', () => {
  it('finds a circle', () => {
    const edge = (from: string, to: string): Import => ({ from, to, typeOnly: false, relative: true });
    expect(findCycle([edge('a', 'b'), edge('b', 'c'), edge('c', 'a')])).toEqual(['a', 'b', 'c', 'a']);
    expect(findCycle([edge('a', 'b'), edge('b', 'c'), edge('a', 'c')])).toEqual([]);
  });

  it('reads all forms of import', () => {
    const found = parseImports(
      [
        "import { a } from './a.js';",
        "import type { B } from './b.js';",
        "export { c } from './c.js';",
        "export type { D } from './d.js';",
        "import './e.js';",
        "const f = await import('./f.js');",
        "import {\n  type G,\n  type H,\n} from './g.js';",
      ].join('\n'),
    );
    expect(found).toEqual([
      ['./a.js', false],
      ['./b.js', true],
      ['./c.js', false],
      ['./d.js', true],
      ['./e.js', false],
      ['./f.js', false],
      // Kept at run time as an import for its effects: `verbatimModuleSyntax`.
      ['./g.js', false],
    ]);
  });
});

function importsOf(file: string): Import[] {
  return parseImports(readFileSync(join(SRC, file), 'utf8')).map(([specifier, typeOnly]) => {
    const isRelative = specifier.startsWith('.');
    const to = isRelative ? relative(SRC, resolve(SRC, dirname(file), specifier)).replace(/\.js$/, '.ts') : specifier;
    return { from: file, to, typeOnly, relative: isRelative };
  });
}

/** [specifier, type-only] of each import and re-export, in order. Comments and texts for people do not count. */
function parseImports(source: string): [string, boolean][] {
  const code = source
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/`(?:\\.|[^`\\])*`|"[^"\n]*"/g, '""');
  const pattern =
    /^(?:import|export)\s+(type\s)?(?:[\w*{][^'";]*?\sfrom\s+)?'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm;
  return [...code.matchAll(pattern)].map((match) => [match[2] ?? match[3] ?? match[4] ?? '', match[1] !== undefined]);
}

/** The folder of the table that a file of src belongs to; '' for a front door. */
function folderOf(file: string): string {
  const parts = dirname(file).split('/');
  if (parts[0] === '.') return '';
  return parts[0] === 'core' || parts[0] === 'cluster' ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
}

/** The first circle found, with its beginning repeated at the end; empty when there is none. */
function findCycle(edges: readonly Import[]): string[] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of edges) targets.set(from, [...(targets.get(from) ?? []), to]);
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] => {
    const seen = path.indexOf(file);
    if (seen >= 0) return [...path.slice(seen), file];
    if (done.has(file)) return [];
    path.push(file);
    for (const target of targets.get(file) ?? []) {
      const cycle = visit(target);
      if (cycle.length > 0) return cycle;
    }
    path.pop();
    done.add(file);
    return [];
  };
  for (const file of targets.keys()) {
    const cycle = visit(file);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

function describeImport({ from, to }: Import): string {
  return `${from} imports ${to}`;
}
