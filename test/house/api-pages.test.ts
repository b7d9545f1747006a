import { describe, expect, it } from 'vitest';
import { GatewayApi } from '../../src/cluster/api/gateway-api.js';
import { GatewayClient } from '../../src/cluster/api/gateway-client.js';
import { WorkerGatewayApi } from '../../src/cluster/api/worker-gateway-api.js';
import { Client } from '../../src/cluster/business/client.js';
import { EVENT_NAMES } from '../../src/cluster/business/events.js';
import { Command } from '../../src/cluster/protocol/commands.js';
import { namesIn, pageText, rowsOf, sectionOf } from '../support/pages.js';

const apiPage = pageText('docs/reference/gateway-api.md');
const functions = [
  ...membersOf(GatewayApi, 'api/gateway-api'),
  ...membersOf(WorkerGatewayApi, 'api/worker-gateway-api'),
];

describe('docs/reference/gateway-api.md', () => {
  const sections = apiPage.split(/^##+ /m).filter((section) => /^\w+\(.*\)$/m.test(section.split('\n')[0] ?? ''));
  const questions = rowsOf(sectionOf(apiPage, 'Questions'));

  it('describes every function of the gateway API, and none that is not there', () => {
    expect(functions.length).toBeGreaterThan(35);
    const described = [
      ...sections.flatMap((section) => calledIn(section.split('\n')[0] ?? '')),
      ...questions.flatMap(([name]) => calledIn(name ?? '')),
    ];
    expect(described.sort()).toEqual([...functions].sort());
  });

  it('says of each what it does, and with which command', () => {
    const command = new RegExp(`\\b(?:${Object.keys(Command).join('|')})\\b`);
    for (const section of sections) expect(section).toMatch(command);
    for (const row of questions) {
      expect(row).not.toContain('');
      expect(row.at(-1)).toMatch(command);
    }
  });

  it('leaves out only names that are not there, for names that are', () => {
    for (const [name = '', instead = ''] of rowsOf(sectionOf(apiPage, 'Names that are left out'))) {
      expect(functions).not.toContain(namesIn(name)[0]);
      const named = namesIn(instead).filter((found) => found !== 'gateway' && found !== 'client');
      expect(named.filter((found) => !functions.includes(found))).toEqual([]);
    }
  });
});

describe('docs/reference/gateway-client.md', () => {
  it('describes what a GatewayClient has beside the gateway API', () => {
    const page = pageText('docs/reference/gateway-client.md');
    const headings = [...page.matchAll(/^## (\w+)\(.*$/gm)].map((match) => match[1] ?? '');
    expect(headings.sort()).toEqual(membersOf(GatewayClient, 'api/gateway-client').sort());
  });
});

describe('docs/reference/events.md', () => {
  const page = pageText('docs/reference/events.md');

  it('describes every event, and none that is not there', () => {
    const [table = ''] = page.split(/^## /m);
    expect(rowsOf(table).flatMap(([name]) => calledIn(name ?? ''))).toEqual([...EVENT_NAMES]);
    for (const row of rowsOf(table)) expect(row).not.toContain('');
  });

  it('describes every member of the client', () => {
    const described = rowsOf(sectionOf(page, 'The client')).flatMap(([names]) => namesIn(names ?? ''));
    expect(described.sort()).toEqual(membersOf(Client, 'business/client').sort());
  });
});

/** What a class offers: its methods, accessors and public fields, but for those that its source marks as internal. */
function membersOf(type: { readonly name: string; readonly prototype: object }, file: string): string[] {
  const source = pageText(`src/cluster/${file}.ts`);
  const body = new RegExp(`^export class ${type.name}\\b.*\\{$([^]*?)^\\}$`, 'm').exec(source)?.[1] ?? '';
  const fields = [...body.matchAll(/^ {2}readonly (\w+)/gm)].map((match) => match[1] ?? '');
  const internal = [...source.matchAll(/\/\*\* @internal.*\*\/\n\s+(?:get )?(\w+)\(/g)].map((match) => match[1] ?? '');
  const methods = Object.getOwnPropertyNames(type.prototype);
  return [...methods, ...fields].filter((name) => name !== 'constructor' && !internal.includes(name));
}

/** The names of the functions that a text shows with their arguments. */
function calledIn(text: string): string[] {
  return [...text.matchAll(/(\w+)\(/g)].map((match) => match[1] ?? '');
}
