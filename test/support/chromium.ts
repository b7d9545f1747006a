import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

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

/**
 * Why tests that need a browser cannot run here, for the title of the skipped test; undefined when they can. Throws
 * instead of giving a reason when the environment variable GATEWAYWORKER_REQUIRE names chromium: where nothing may be
 * skipped, a missing browser is a failure.
 */
export function chromiumMissing(): string | undefined {
  if (existsSync(EXECUTABLE)) return undefined;
  const reason = `this needs ${EXECUTABLE}, which is not installed (apt-get install chromium)`;
  const required = (process.env.GATEWAYWORKER_REQUIRE ?? '').split(/[\s,]+/);
  if (required.includes('chromium')) throw new Error(`${reason}, and GATEWAYWORKER_REQUIRE asks for it`);
  return reason;
}

/** Starts the browser. The caller closes it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: ARGS });
}
