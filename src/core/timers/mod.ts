export { Deadlines, deadlines } from './deadlines.js';
export { Timer } from './timer.js';

export type { Expiring } from './deadlines.js';
