import { GatewayWorkerError } from '../../util/mod.js';

/** A peer that can't be reached, does not answer, or is refused. Codes `GW_LINK_…`. */
export class LinkError extends GatewayWorkerError {}

/** @param gateway its address, here and below */
export function unreachable(gateway: string, why: string, cause: Error | null = null): LinkError {
  return new LinkError(
    'GW_LINK_UNREACHABLE',
    `gateway ${gateway} can't be asked: ${why}`,
    { gateway },
    cause ?? undefined,
  );
}

export function unanswered(gateway: string, seconds: number): LinkError {
  return new LinkError('GW_LINK_TIMEOUT', `gateway ${gateway} did not answer within ${seconds} s`, { gateway });
}

export function tooManyQuestions(gateway: string): LinkError {
  const text = `gateway ${gateway} was not asked: too many questions wait`;
  return new LinkError('GW_LINK_TOO_MANY_QUESTIONS', text, { gateway });
}

export function questionTooLarge(gateway: string): LinkError {
  const text = `gateway ${gateway} was not asked: the question is larger than a packet may be`;
  return new LinkError('GW_LINK_QUESTION_TOO_LARGE', text, { gateway });
}

export function clientClosed(): LinkError {
  return new LinkError('GW_LINK_CLOSED', 'the GatewayClient is closed');
}

/** @param lost, waiting addresses of gateways: whose connection ended too early, and who has not taken everything */
export function notDrained(lost: readonly string[], waiting: readonly string[]): LinkError {
  const parts: string[] = [];
  if (lost.length > 0) parts.push(`lost with the connection to ${lost.join(', ')}`);
  if (waiting.length > 0) parts.push(`still waiting for ${waiting.join(', ')}`);
  return new LinkError('GW_LINK_NOT_DRAINED', `not everything was written: ${parts.join('; ')}`, { lost, waiting });
}
