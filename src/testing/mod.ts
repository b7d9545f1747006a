export type { TestCluster, TestClusterOptions } from './cluster.js';
export { startCluster } from './cluster.js';
export { eventually, TestTimeoutError } from './eventually.js';
export type { ConnectOptions, TestClose } from './test-client.js';
export { TestClient, TestClientError } from './test-client.js';
