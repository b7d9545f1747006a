import { describe, expect, it } from 'vitest';
import { eventually, TestTimeoutError } from '../../src/testing/mod.js';

describe('waiting for a condition', () => {
  it('gives what the condition gives once that is truthy', async () => {
    let calls = 0;
    expect(await eventually('three calls', () => (++calls === 3 ? 'done' : undefined))).toBe('done');
    expect(calls).toBe(3);
    expect(await eventually('a promise', async () => 5)).toBe(5);
  });

  it('fails when the time is over, and says what was waited for', async () => {
    const error = await eventually('what never comes', () => false, 0.03).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(TestTimeoutError);
    expect(error).toMatchObject({ code: 'GW_TEST_TIMEOUT', fields: { what: 'what never comes', seconds: 0.03 } });
    expect(error.message).toContain('what never comes');
  });

  it('fails at once with what the condition throws', async () => {
    await expect(eventually('nothing', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });
});
