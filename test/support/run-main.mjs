import { runnerImport } from 'vite';

/** Runs `main` of a TypeScript file with what the command line says: Node.js 20 does not read TypeScript by itself. */
export async function runMain(file) {
  try {
    const { module } = await runnerImport(file.pathname, { logLevel: 'error' });
    process.exitCode = await module.main(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  }
}
