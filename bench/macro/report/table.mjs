// The table on the screen.
import { barOf, compared, shown } from './figures.mjs';

/** The lines of one row, as [figure, bar, ours, peers …, verdict]. */
export function linesOf(row, peers) {
  return row.figures.map((figure) => [
    `  ${figure.name}${figure.unit === '' ? '' : `, ${figure.unit}`}`,
    barOf(figure),
    ...peers.map((peer) => cell(figure, peer)),
    figure.verdict,
  ]);
}

function cell({ values }, peer) {
  return peer === 'ours' ? shown(values.ours) : compared(values[peer], values.ours);
}

const WIDTHS = [38, 18, 16];

export function printHead(peers) {
  console.log(aligned(['', 'bar', ...peers, '']));
}

export function printRow(row, peers) {
  console.log(`${row.name}: ${row.title}`);
  for (const line of linesOf(row, peers)) console.log(aligned(line));
  for (const [peer, notes] of Object.entries(row.notes)) for (const note of notes) console.log(`  ${peer}: ${note}`);
}

function aligned(cells) {
  return cells
    .map((text, index) => text.padEnd(WIDTHS[Math.min(index, WIDTHS.length - 1)]))
    .join(' ')
    .trimEnd();
}
