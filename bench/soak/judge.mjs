// Whether what processes hold stays within bounds: samples in, verdicts out.

/** Of the time a process has lived; by then pools are filled and code is compiled. */
const WARM_UP = 0.3;
/** Fewer samples behind the warm-up tell nothing. */
const FEWEST = 9;
/** Nor does less of the time: a process that a reload has made, or ended, is warming up for most of its life. */
const LEAST_SHARE = 0.25;
/** Growth from the first third of what is judged to the last, in bytes: more is a leak. Of the heap after a collection. */
export const MOST_HEAP_GROWTH = 3 * 1024 * 1024;
/** In a load of less than a minute: what may be held at a time, such as queues of slow readers and spare buffers, comes and goes. */
const SHORT_MS = 60_000;
const MOST_SHORT_HEAP_GROWTH = 12 * 1024 * 1024;
/** Of all memory: allocators keep pages for themselves. */
export const MOST_RSS_GROWTH = 48 * 1024 * 1024;
/** Beyond what there was before the load came: links, connections for questions and the like, made once at the first need. */
const MOST_FILES = 12;
const MOST_TIMERS = 4;

/**
 * Judges one process.
 *
 * @param samples at (ms), rss, heap (bytes), timers, files; in order of time
 * @param begun, ended when the load came and went (ms): memory is judged in between, files and timers by the ends
 * @returns null: it has not lived long enough
 */
export function judge(samples, { begun, ended }) {
  const first = Math.max(begun, samples[0].at);
  const judged = samples.filter(({ at }) => at >= first + (ended - first) * WARM_UP && at <= ended);
  if (judged.length < FEWEST || judged.at(-1).at - judged[0].at < (ended - begun) * LEAST_SHARE) return null;
  const heap = trend(judged, 'heap');
  const rss = trend(judged, 'rss');
  const faults = [];
  const mostHeap = ended - begun < SHORT_MS ? MOST_SHORT_HEAP_GROWTH : MOST_HEAP_GROWTH;
  if (heap.growth > mostHeap) faults.push(`its heap grew by ${megabytes(heap.growth)}`);
  if (rss.growth > MOST_RSS_GROWTH) faults.push(`its memory grew by ${megabytes(rss.growth)}`);
  const before = samples.filter(({ at }) => at < begun).at(-1);
  const after = samples.at(-1);
  if (before !== undefined && after.at > ended) {
    if (after.files > before.files + MOST_FILES) faults.push(`${before.files} open files became ${after.files}`);
    if (after.timers > before.timers + MOST_TIMERS) faults.push(`${before.timers} timers became ${after.timers}`);
  }
  const { files, timers } = after;
  return { name: after.name, seconds: (judged.at(-1).at - judged[0].at) / 1000, heap, rss, files, timers, faults };
}

/** Bytes at the end, growth between the medians of the outer thirds, and the slope of the line through all, in bytes an hour. */
function trend(samples, what) {
  const values = samples.map((sample) => sample[what]);
  const third = Math.floor(values.length / 3);
  const growth = median(values.slice(-third)) - median(values.slice(0, third));
  const times = samples.map(({ at }) => at / 3_600_000);
  const [meanTime, mean] = [times, values].map((list) => list.reduce((sum, value) => sum + value, 0) / list.length);
  let above = 0;
  let below = 0;
  for (const [index, value] of values.entries()) {
    const distance = times[index] - meanTime;
    above += distance * (value - mean);
    below += distance * distance;
  }
  return { bytes: values.at(-1), growth, perHour: Math.round(above / below) };
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

export function megabytes(bytes) {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
