import { describe, expect, it } from 'vitest';
import { GATEWAY_CLIENT_CHECKS, GATEWAY_CLIENT_DEFAULTS } from '../../src/cluster/api/gateway-client.js';
import { BUSINESS_WORKER_CHECKS, BUSINESS_WORKER_DEFAULTS } from '../../src/cluster/business/business-worker.js';
import { GATEWAY_CHECKS, GATEWAY_DEFAULTS } from '../../src/cluster/gateway/options.js';
import { REGISTER_CHECKS, REGISTER_DEFAULTS } from '../../src/cluster/register/register.js';
import {
  PER_MESSAGE_DEFLATE_CHECKS,
  PER_MESSAGE_DEFLATE_DEFAULTS,
} from '../../src/core/protocols/websocket/deflate-options.js';
import { pageText, rowsOf, sectionOf } from '../support/pages.js';

const pages = [
  { page: 'business-worker', defaults: BUSINESS_WORKER_DEFAULTS, checks: BUSINESS_WORKER_CHECKS },
  { page: 'gateway', defaults: GATEWAY_DEFAULTS, checks: GATEWAY_CHECKS },
  {
    page: 'gateway',
    section: 'Compression',
    defaults: PER_MESSAGE_DEFLATE_DEFAULTS,
    checks: PER_MESSAGE_DEFLATE_CHECKS,
  },
  { page: 'gateway-client', defaults: GATEWAY_CLIENT_DEFAULTS, checks: GATEWAY_CLIENT_CHECKS },
  { page: 'register', defaults: REGISTER_DEFAULTS, checks: REGISTER_CHECKS },
];

describe.each(pages)('the options in docs/reference/$page.md $section', ({ page, section, defaults, checks }) => {
  const rows = rowsOf(sectionOf(pageText(`docs/reference/${page}.md`), section ?? 'Options'));

  it('are those that there are, with their defaults', () => {
    const shown = (value: unknown) => (typeof value === 'string' ? `\`'${value}'\`` : `\`${value}\``);
    const written = rows.map(([name, , byDefault]) => [name, byDefault]);
    const real = Object.entries(defaults).map(([name, value]) => [`\`${name}\``, shown(value)]);
    expect(written.sort()).toEqual(real.sort());
    expect(Object.keys(checks).sort()).toEqual(Object.keys(defaults).sort());
  });

  it('each have a type and a meaning', () => {
    for (const row of rows) {
      expect(row).toHaveLength(4);
      expect(row).not.toContain('');
    }
  });
});
