import { expect, test } from 'vitest';

import { STOP_PHASE } from '../../../src/core/process/mod.js';
import { stopPlan } from '../../../src/core/process/stop-plan.js';
import { TestWorker } from '../../support/test-worker.js';

test('gateways stop first, registers last, and each phase has its share of the time', () => {
  const workers = [STOP_PHASE.register, STOP_PHASE.gateway, STOP_PHASE.worker, STOP_PHASE.worker].map(
    (stopPhase) => new TestWorker({ stopPhase }),
  );
  expect(stopPlan(workers, 1500)).toEqual([
    { phase: STOP_PHASE.gateway, until: 500 },
    { phase: STOP_PHASE.worker, until: 1000 },
    { phase: STOP_PHASE.register, until: 1500 },
  ]);
});

test('a phase that has no workers takes no share', () => {
  expect(stopPlan([new TestWorker()], 1500)).toEqual([{ phase: STOP_PHASE.worker, until: 1500 }]);
});
