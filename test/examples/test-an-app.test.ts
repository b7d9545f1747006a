import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { endScripts, startScript } from '../support/processes.js';

const example = fileURLToPath(new URL('../../examples/test-an-app/events.test.js', import.meta.url));

afterEach(endScripts);

test('test-an-app passes, and stands in the reference as it is', async () => {
  const script = startScript(example);
  expect(await script.exit(), script.output).toMatchObject({ code: 0 });
  expect(script.output).toMatch(/\bpass 1\b/);
  const page = readFileSync(new URL('../../docs/reference/testing.md', import.meta.url), 'utf8');
  expect(page).toContain(`\`\`\`js\n${readFileSync(example, 'utf8')}\`\`\``);
});
