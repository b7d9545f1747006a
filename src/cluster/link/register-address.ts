import { parseHostPort } from '../../core/net/mod.js';
import { type Check, nonEmptyText } from '../../util/mod.js';

/** One `host:port`, or a list with at least one. */
export const registerAddressCheck: Check = (value) => {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const right = list.length > 0 && list.every((address) => nonEmptyText(address) === undefined);
  return right ? undefined : "'host:port', or a list of at least one";
};

/** The addresses as a list, each taken apart to find a wrong one when a worker is made. @throws AddressError */
export function checkRegisterAddresses(addresses: string | readonly string[]): readonly string[] {
  const list = typeof addresses === 'string' ? [addresses] : addresses;
  for (const address of list) parseHostPort(address);
  return list;
}
