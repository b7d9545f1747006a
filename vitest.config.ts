import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'apps/*/test/**/*.test.ts'],
    // Real processes and sockets take turns on small machines; a test still waits on conditions, never on this.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: 'forks',
    // Most of the time goes into waiting, for processes and for deadlines, so a core can have several files.
    maxWorkers: 3,
    reporters: ['default'],
  },
});
