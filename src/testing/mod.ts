export type { TestCluster, TestClusterOptions } from './cluster.js';
export { startCluster } from './cluster.js';
export { eventually, TestTimeoutError } from './eventually.js';
