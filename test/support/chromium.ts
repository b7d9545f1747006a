import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import { required } from './required.js';

// Debian's package. Playwright's own download would be a second, unpatched browser on every machine.
const EXECUTABLE = '/usr/bin/chromium';

const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/** Why tests that need a browser cannot run here; undefined when they can. */
export function chromiumMissing(): string | undefined {
  if (existsSync(EXECUTABLE)) return undefined;
  return required('chromium', `this needs ${EXECUTABLE}, which is not installed (apt-get install chromium)`);
}

/** Starts the browser. The caller closes it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: ARGS });
}
