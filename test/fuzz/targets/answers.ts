import type { Buffer } from 'node:buffer';
import * as answers from '../../../src/cluster/api/answers.js';
import { PhpSerializeError } from '../../../src/cluster/protocol/mod.js';
import { FakePeer } from '../../support/fake-link.js';
import type { Target } from '../target.js';
import { ANSWERS } from './link.js';
import { VALUES } from './php-serialize.js';

const gateway = new FakePeer();
const readers: readonly ((payload: Buffer, gateway: FakePeer) => unknown)[] = Object.values(answers);

/** What a gateway answers to a question of GatewayClient or a worker, read as the answer to each of them. */
export const API_ANSWERS: Target = {
  name: 'api-answers',
  seeds: [...ANSWERS, ...VALUES],
  run(bytes) {
    for (const read of readers) {
      try {
        read(bytes, gateway);
      } catch (error) {
        const expected = error instanceof PhpSerializeError || (error as Error).message?.endsWith('makes no sense');
        if (!expected) throw error;
      }
    }
  },
};
