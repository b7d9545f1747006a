export type { RunOptions } from './run.js';
export { run } from './run.js';
