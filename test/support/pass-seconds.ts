import { vi } from 'vitest';
import { deadlines } from '../../src/core/timers/mod.js';

/** Whatever has a deadline within so many seconds finds that it has passed. No other clock goes on. */
export function passSeconds(seconds: number): void {
  const now = performance.now.bind(performance);
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => now() + seconds * 1000);
  deadlines.tick();
  spy.mockRestore();
}
