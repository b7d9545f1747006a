export type { Expiring } from './deadlines.js';
export { Deadlines, deadlines } from './deadlines.js';
export { Timer } from './timer.js';
