/**
 * A float as PHP writes it: the shortest digits that give the same double, with an exponent from 1.0E+17 upwards and
 * below 0.0001, where JavaScript's own text changes at 1e21 and 1e-6. Whole floats have no point.
 *
 * @param mark `E` in serialized values and texts, `e` in JSON
 */
export function phpFloatText(value: number, mark: 'E' | 'e' = 'E'): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e17) return String(value);
  if (size === Number.POSITIVE_INFINITY) return value > 0 ? 'INF' : '-INF';
  if (Number.isNaN(value)) return 'NAN';
  // d.ddde±x, or de±x
  const text = value.toExponential();
  const at = text.indexOf('e');
  const digits = text.slice(0, at);
  return `${digits.includes('.') ? digits : `${digits}.0`}${mark}${text.slice(at + 1)}`;
}
