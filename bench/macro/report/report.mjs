// Writes what a run has found into docs/performance.md and its chart: `npm run bench:report [-- file.json]`
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chartOf } from './chart.mjs';
import { resultsOf } from './page.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const RESULTS = join(ROOT, 'bench/results');
const PAGE = join(ROOT, 'docs/performance.md');
const CHART = join(ROOT, 'docs/images/performance.svg');
const BETWEEN = /(<!-- results: npm run bench:report -->\n)[\s\S]*?(\n<!-- end of results -->)/;
/** Rows in the chart, of each its first figure. */
const CHARTED = ['echo-50x10', 'echo-200x1', 'echo-10x1', 'broadcast-500x10', 'memory-websocket'];

const result = JSON.parse(readFileSync(process.argv[2] ?? newest(), 'utf8'));
const page = readFileSync(PAGE, 'utf8');
if (!BETWEEN.test(page)) throw new Error(`${PAGE} has no place for results`);
writeFileSync(
  PAGE,
  page.replace(BETWEEN, (_, begin, end) => `${begin}\n${resultsOf(result)}\n${end}`),
);
writeFileSync(CHART, chartOf(result.rows.filter(({ name }) => CHARTED.includes(name)).map(figureOf)));

function figureOf({ title, figures: [figure] }) {
  return { title: `${title}: ${figure.name}`, unit: figure.unit, values: figure.values };
}

/** Files are named by their date. */
function newest() {
  const names = readdirSync(RESULTS)
    .filter((name) => name.endsWith('.json'))
    .sort();
  if (names.length === 0) throw new Error('there are no results: npm run bench');
  return join(RESULTS, names.at(-1));
}
