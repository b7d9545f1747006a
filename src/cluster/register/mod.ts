export { Register } from './register.js';

export type { RegisterOptions } from './register.js';
