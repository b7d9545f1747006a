/**
 * A dotted quad as an unsigned number, the first part in the highest byte.
 *
 * @returns undefined for anything else: IPv6, names, parts with leading zeros (which some read as octal)
 */
export function ipToNumber(ip: string): number | undefined {
  const length = ip.length;
  if (length < 7 || length > 15) return undefined;
  let address = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let index = 0; index < length; index++) {
    const code = ip.charCodeAt(index);
    if (code >= 0x30 && code <= 0x39) {
      if (digits === 1 && part === 0) return undefined;
      part = part * 10 + code - 0x30;
      digits++;
      if (part > 255) return undefined;
    } else if (code === 0x2e && digits > 0 && dots < 3) {
      address = address * 256 + part;
      part = 0;
      digits = 0;
      dots++;
    } else {
      return undefined;
    }
  }
  return dots === 3 && digits > 0 ? address * 256 + part : undefined;
}

/** The dotted quad of an unsigned number. */
export function numberToIp(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}
