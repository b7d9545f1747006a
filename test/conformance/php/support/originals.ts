import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** What there must be below PHP_ORIGINALS, each as its repository is called, or owner+repository. */
const FOLDERS = [
  ['GatewayWorker', 'walkor+GatewayWorker'],
  ['workerman', 'walkor+workerman'],
  ['coroutine', 'workerman-php+coroutine'],
  ['GatewayClient', 'walkor+GatewayClient'],
];

/**
 * Why tests against the originals can't run here, for the title of what is skipped; undefined when they can. Throws instead
 * when the environment variable GATEWAYWORKER_REQUIRE names php.
 */
export function originalsMissing(): string | undefined {
  const reason = reasonOf();
  const required = (process.env.GATEWAYWORKER_REQUIRE ?? '').split(/[\s,]+/);
  if (reason !== undefined && required.includes('php'))
    throw new Error(`${reason}, and GATEWAYWORKER_REQUIRE asks for it`);
  return reason;
}

function reasonOf(): string | undefined {
  const root = process.env.PHP_ORIGINALS ?? '';
  if (root === '')
    return 'this needs PHP_ORIGINALS=<folder with GatewayWorker, workerman, coroutine and GatewayClient>';
  for (const names of FOLDERS) {
    if (!names.some((name) => existsSync(`${root}/${name}`))) {
      return `this needs a folder ${names.join(' or ')} in ${root}, which PHP_ORIGINALS names`;
    }
  }
  if (!existsSync(new URL('../../../../dist/mod.js', import.meta.url))) return 'this needs dist: npm run build';
  const { status } = spawnSync('php', ['-r', 'exit(extension_loaded("pcntl") && extension_loaded("posix") ? 0 : 1);']);
  return status === 0 ? undefined : 'this needs php with pcntl and posix (apt-get install php-cli)';
}
