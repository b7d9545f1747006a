import process from 'node:process';

/**
 * Passes on why tests can't run here, for the title of the skipped test. Throws instead when the environment variable
 * GATEWAYWORKER_REQUIRE names what is missing: where nothing may be skipped, that is a failure.
 */
export function required(what: string, reason: string): string {
  const names = (process.env.GATEWAYWORKER_REQUIRE ?? '').split(/[\s,]+/);
  if (names.includes(what)) throw new Error(`${reason}, and GATEWAYWORKER_REQUIRE asks for it`);
  return reason;
}
