import { Buffer } from 'node:buffer';
import type { GatewayDirectory, GatewayPeer } from '../link/mod.js';
import { packetHead } from '../protocol/mod.js';
import { ApiError, QueryError } from './errors.js';
import { isTooLarge } from './outbox.js';

/** What one gateway is asked, and how its answer is read. `read` throws for an answer that makes no sense. */
export interface Question<Answer> {
  readonly cmd: number;
  readonly ext: string;
  readonly read: (payload: Buffer, gateway: GatewayPeer) => Answer;
}

/**
 * Asks every gateway at once; resolves with what the answers amount to once all have come.
 *
 * @param combine gets the answers in the order of the gateways, whatever order they came in
 * @throws QueryError when a gateway is silent; ApiError `GW_API_NO_GATEWAY`, `GW_API_TOO_LARGE` (all reject)
 */
export async function askAll<Answer, Result>(
  directory: GatewayDirectory,
  question: Question<Answer>,
  combine: (answers: readonly Answer[]) => Result,
): Promise<Result> {
  const gateways = [...directory.gateways];
  if (gateways.length === 0) {
    throw new ApiError('GW_API_NO_GATEWAY', 'no gateway is known yet, so nobody can be asked');
  }
  for (const gateway of gateways) checkSize(gateway, question.ext);
  const settled = await Promise.allSettled(gateways.map((gateway) => answer(gateway, question, 0)));
  const answers: Answer[] = [];
  const silent: string[] = [];
  let cause: unknown;
  for (const [index, outcome] of settled.entries()) {
    if (outcome.status === 'fulfilled') {
      answers.push(outcome.value);
    } else {
      silent.push((gateways[index] as GatewayPeer).address);
      cause = outcome.reason;
    }
  }
  const result = combine(answers);
  if (silent.length > 0) throw new QueryError(result, silent, cause);
  return result;
}

/**
 * Asks the gateway of one client.
 *
 * @param otherwise the partial answer when it is silent
 * @throws QueryError (rejects)
 */
export async function askOne<Answer>(
  gateway: GatewayPeer,
  question: Question<Answer>,
  connectionId: number,
  otherwise: Answer,
): Promise<Answer> {
  try {
    return await answer(gateway, question, connectionId);
  } catch (cause) {
    throw new QueryError(otherwise, [gateway.address], cause);
  }
}

/** A name for what was answered but can't be meant; the gateway counts as silent. */
export function senseless(gateway: GatewayPeer): Error {
  return new Error(`the answer of gateway ${gateway.address} makes no sense`);
}

async function answer<Answer>(gateway: GatewayPeer, question: Question<Answer>, connectionId: number): Promise<Answer> {
  const head = packetHead({ cmd: question.cmd, connectionId });
  return question.read(await gateway.ask(head, question.ext, ''), gateway);
}

function checkSize(gateway: GatewayPeer, ext: string): void {
  if (!isTooLarge(gateway, ext, '')) return;
  const bytes = Buffer.byteLength(ext);
  throw new ApiError('GW_API_TOO_LARGE', `a question of ${bytes} bytes is more than ${gateway.address} takes`, {
    gateway: gateway.address,
    bytes,
  });
}
