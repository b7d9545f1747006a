// npm run chaos: the sources are TypeScript, which Node.js 20 does not read by itself.
import { runnerImport } from 'vite';

try {
  const { module } = await runnerImport(new URL('./main.ts', import.meta.url).pathname, { logLevel: 'error' });
  process.exitCode = await module.main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
