import { readFileSync } from 'node:fs';

/** Version of this package, from the package.json that lies two folders above, in `src` as in `dist`. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return String(version);
}
