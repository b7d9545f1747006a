export type { RegisterOptions } from './register.js';
export { Register } from './register.js';
