export { AbsentGroups } from './absent-groups.js';
export type {
  ClientLink,
  CommandSource,
  Extension,
  GatewayDirectory,
  GatewayIdentity,
  GatewayLink,
  GatewayLinkEvents,
  GatewayPeer,
  LinkFigures,
  WorkerLink,
  WorkerLinkEvents,
  WorkerPeer,
} from './contracts.js';
export { OUR_EXTENSIONS } from './contracts.js';
export { LinkError } from './errors.js';
export { MemoryHub } from './memory/hub.js';
export type { ClientMeshOptions } from './mesh/client-mesh.js';
export { ClientMesh } from './mesh/client-mesh.js';
export type { GatewayMeshOptions } from './mesh/gateway-mesh.js';
export { GatewayMesh } from './mesh/gateway-mesh.js';
export type { WorkerMeshOptions } from './mesh/worker-mesh.js';
export { WorkerMesh } from './mesh/worker-mesh.js';
export { checkRegisterAddresses, registerAddressCheck } from './register-address.js';
