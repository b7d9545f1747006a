import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SRC = resolve(fileURLToPath(import.meta.url), '../../../src');

/** A key beside a comparison with anything but the empty text, which says that there is none. */
const COMPARED = /(?<!typeof )secretKey\s*[!=]==?(?![=\s]*'')|[!=]==?\s*(?:\w+(?:\?\.|\.|\())*secretKey/;

test('secret keys are compared by sameSecret alone, whose time tells nothing', () => {
  expect(COMPARED.test('a.secretKey === b')).toBe(true);
  expect(COMPARED.test('b !== this.options.secretKey')).toBe(true);
  expect(COMPARED.test("secretKey === ''")).toBe(false);
  const found = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const lines = readFileSync(join(SRC, file), 'utf8').split('\n');
      return lines.filter((line) => COMPARED.test(line)).map((line) => `${file}: ${line.trim()}`);
    });
  expect(found).toEqual([]);
});
