import type { CommandSource, WorkerPeer } from '../../link/mod.js';
import { type PacketView, parseBusyBody } from '../../protocol/mod.js';
import type { CommandHandler, GatewayContext } from '../context.js';

/** DRAIN: the worker leaves. */
export const drain: CommandHandler = (gateway, packet, from) => {
  const worker = leaving(gateway, packet, from);
  if (worker !== null) gateway.workerDrains(worker);
};

/** BUSY: the clients it is not done with yet. */
export const busy: CommandHandler = (gateway, packet, from) => {
  const worker = leaving(gateway, packet, from);
  if (worker === null) return;
  const ids = parseBusyBody(packet);
  if (ids === undefined)
    gateway.unusable(packet, 'the body of BUSY is no list of connection ids', { worker: worker.key });
  else gateway.workerBusy(worker, ids);
};

/** DONE: one of them it is done with now. */
export const done: CommandHandler = (gateway, packet, from) => {
  const worker = leaving(gateway, packet, from);
  if (worker !== null) gateway.workerDone(worker, packet.connectionId);
};

/** The worker, if it may say so. */
function leaving(gateway: GatewayContext, packet: PacketView, { worker }: CommandSource): WorkerPeer | null {
  if (worker?.supports('draining')) return worker;
  gateway.unusable(packet, 'a command of workers that leave came from somebody else; it is ignored');
  return null;
}
