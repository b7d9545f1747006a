import { describe, expect, it } from 'vitest';
import { GATEWAY_CLIENT_DEFAULTS } from '../../src/cluster/api/gateway-client.js';
import { BUSINESS_WORKER_DEFAULTS } from '../../src/cluster/business/business-worker.js';
import { GATEWAY_DEFAULTS } from '../../src/cluster/gateway/options.js';
import { REGISTER_DEFAULTS } from '../../src/cluster/register/register.js';
import { pageText, rowsOf, sectionOf } from '../support/pages.js';

const defaults: Readonly<Record<string, object>> = {
  Gateway: GATEWAY_DEFAULTS,
  BusinessWorker: BUSINESS_WORKER_DEFAULTS,
  Register: REGISTER_DEFAULTS,
  GatewayClient: GATEWAY_CLIENT_DEFAULTS,
};

describe('the limits in SECURITY.md', () => {
  const rows = rowsOf(sectionOf(pageText('SECURITY.md'), 'Limits'));

  it('have the defaults that they have', () => {
    expect(rows.length).toBeGreaterThan(15);
    const real = rows.map(([what, option = '', of = '']) => {
      const value = Reflect.get(defaults[of] ?? {}, option.replaceAll('`', ''));
      return [what, option, of, value === 0 ? '`0` (off)' : `\`${value}\``];
    });
    expect(rows).toEqual(real);
  });

  it('leave out no option of a Gateway that begins with max', () => {
    const listed = rows.map(([, option = '']) => option.replaceAll('`', ''));
    const all = Object.keys(GATEWAY_DEFAULTS).filter((name) => name.startsWith('max'));
    expect(all.filter((name) => !listed.includes(name))).toEqual([]);
  });
});
