import { cut, printable, widthOf } from './text.js';

const GAP = 2;

/** No cell is wider: a worker may have any name. */
const WIDEST = 48;

export interface Column {
  readonly heading: string;
  /** Numbers stand below each other at their right ends. */
  readonly right?: boolean;
}

/** Lines of cells below their headings, with each column as wide as its widest cell. Cells may hold anything. */
export function tableText(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const headings = columns.map(({ heading }) => heading);
  const lines = [headings, ...rows.map((row) => row.map((cell) => cut(printable(cell), WIDEST)))];
  const widths = columns.map(() => 0);
  for (const line of lines) {
    for (const [column, cell] of line.entries()) widths[column] = Math.max(widths[column] ?? 0, widthOf(cell));
  }
  return lines.map((line) => {
    const cells = line.map((cell, column) => {
      const filler = ' '.repeat((widths[column] ?? 0) - widthOf(cell));
      return columns[column]?.right === true ? `${filler}${cell}` : `${cell}${filler}`;
    });
    return cells.join(' '.repeat(GAP)).trimEnd();
  });
}

/** A line across the screen, with a title in the middle. */
export function rule(title: string, width: number): string {
  const left = Math.max(0, Math.floor((width - title.length) / 2));
  return `${'-'.repeat(left)}${title}`.padEnd(width, '-');
}
