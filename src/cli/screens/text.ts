const UNITS: readonly string[] = ['B', 'KB', 'MB', 'GB', 'TB'];

/** What would move the cursor, colour the terminal or turn the line round, and what is no character. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Takes no place of its own. */
const COMBINING = /\p{M}/u;

/** Takes two places: the scripts of East Asia, their punctuation and full-width forms, and emoji. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u30ff\uff01-\uff60\uffe0-\uffe6]/u;

/** Nearly every cell. */
const PLAIN = /^[ -~]*$/;

/** Katakana and Hangul of half the width. */
const NARROW = /[\uff61-\uffdc]/u;

/** A text as it may stand on a terminal, whoever chose it. */
export function printable(text: string): string {
  return PLAIN.test(text) ? text : text.replace(UNPRINTABLE, '\ufffd');
}

/** Places that a printable text takes on a terminal. */
export function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const character of text) {
    if (!COMBINING.test(character)) width += WIDE.test(character) && !NARROW.test(character) ? 2 : 1;
  }
  return width;
}

/** The beginning of a text that is longer than so many places. */
export function cut(text: string, places: number): string {
  if (widthOf(text) <= places) return text;
  let kept = '';
  for (const character of text) {
    if (widthOf(kept + character) > places - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

/** As the original: `1024B`, `1.0KB`, `54.2MB`. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value > 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${value}B` : `${value.toFixed(1)}${UNITS[unit]}`;
}

/** The two largest units: `3 days 4 hours`, `12 seconds`. */
export function durationText(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'day'],
    [Math.floor(seconds / 3600) % 24, 'hour'],
    [Math.floor(seconds / 60) % 60, 'minute'],
    [seconds % 60, 'second'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  const shown = first < 0 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown.map(([count, unit]) => countText(count, unit)).join(' ');
}

/** `1 process`, `2 processes`. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Local time: `2026-11-21 12:00:00`. */
export function timeText(milliseconds: number): string {
  const date = new Date(milliseconds);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
