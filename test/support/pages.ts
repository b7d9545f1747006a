import { readFileSync } from 'node:fs';

/** The text of a page, as `docs/reference/gateway.md`. */
export function pageText(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

/** What stands under a heading of the second level, up to the next one; empty when there is no such heading. */
export function sectionOf(page: string, heading: string): string {
  return page.split(/^## /m).find((section) => section.startsWith(`${heading}\n`)) ?? '';
}

/** The cells of the rows of a text's tables, without the rows that head them. */
export function rowsOf(text: string): string[][] {
  const lines = text.split('\n');
  const isRow = (line: string) => line.startsWith('|');
  return lines
    .filter((line, index) => isRow(line) && !isRuler(line) && !isRuler(lines[index + 1] ?? ''))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** The names at the beginning of each piece of code in a text: `send(message)` is send. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(/`\$?(\w+)[^`]*`/g)].map((match) => match[1] ?? '');
}

function isRuler(line: string): boolean {
  return /^\|(?:\s*-+\s*\|)+$/.test(line);
}
