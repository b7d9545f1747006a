// From what was measured to what is said of it: medians, ratios, whether a bar is reached.

/** The median of the runs; null where none succeeded. */
export function median(values) {
  const sorted = values.filter((value) => typeof value === 'number').sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** What ours must reach, in words; empty where the figure is only told. */
export function barOf({ unit, max, min, leads }) {
  const parts = [];
  if (max !== undefined) parts.push(`≤ ${max} ${unit}`.trim());
  if (min !== undefined) parts.push(`≥ ${min} ${unit}`.trim());
  if (leads) parts.push('ahead');
  return parts.join(', ');
}

/** `met`, `not met`, or empty where there is no bar or nothing to compare with it. */
export function verdictOf(figure, values) {
  const { max, min, leads = false, more = false } = figure;
  const ours = values.ours ?? null;
  if (ours === null || (max === undefined && min === undefined && !leads)) return '';
  const others = Object.entries(values).filter(([peer, value]) => peer !== 'ours' && value !== null);
  // Ahead of nobody is no answer.
  if (leads && others.length === 0 && (max === undefined || ours <= max) && (min === undefined || ours >= min))
    return '';
  const ahead = others.every(([, value]) => (more ? ours >= value : ours <= value));
  return (max === undefined || ours <= max) && (min === undefined || ours >= min) && (!leads || ahead)
    ? 'met'
    : 'not met';
}

/** A value with as many digits as mean something. */
export function shown(value) {
  if (value === null || value === undefined) return '–';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A peer's value and how many times ours it is. */
export function compared(value, ours) {
  if (value === null || value === undefined) return '–';
  return ours > 0 ? `${shown(value)} (${shown(value / ours)}×)` : shown(value);
}
