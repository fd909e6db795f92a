// What the guides say is true: every page has an example, and the examples do what the page claims.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fencedBlocks } from './fenced-blocks.ts';
import { compare, runPage } from './page-run.ts';
import { Playground } from './playground.ts';

const root = path.join(import.meta.dirname, '../..');
const only = process.env.GUIDE;
/** By test/e2e/explain-guide.test.ts, which also writes what is printed, and by cluster-guides.test.ts. */
const RUN_ELSEWHERE = new Set([
  'docs/guides/explain.md',
  'docs/guides/postgresql.md',
  'docs/guides/control-plane-and-data-planes.md',
]);
const pages = globSync('docs/guides/*.md', { cwd: root })
  .filter((page) => !page.endsWith('/README.md') && !RUN_ELSEWHERE.has(page))
  .filter((page) => only === undefined || page.includes(only))
  .sort();

describe('the examples hold in', { concurrency: 2 }, () => {
  for (const page of pages) {
    test(page, async () => {
      const playground = await Playground.open();
      try {
        const blocks = fencedBlocks(readFileSync(path.join(root, page), 'utf8'));
        const { gateways, comparisons } = await runPage(page, blocks, playground);
        assert.ok(gateways > 0, `${page} has no \`\`\`yaml gateway block`);
        assert.ok(comparisons > 0, `${page} has no \`\`\`text expect block`);
      } finally {
        await playground.close();
      }
    });
  }
  test('there are pages at all', () => assert.ok(pages.length > 0));
});

describe('the comparison', () => {
  const output = 'HTTP/1.1 200 OK\nServer: sluice\n\nhello\n';
  const holds = (expected: string) => () => compare('page', expected, output);

  test('takes some of the lines', () => assert.doesNotThrow(holds('HTTP/1.1 200 OK\nhello\n')));
  test('takes … for any text', () => assert.doesNotThrow(holds('HTTP/1.1 200 …\n…\nhe…o\n')));
  test('refuses a line that is not there', () => assert.throws(holds('HTTP/1.1 404 Not Found')));
  test('refuses half a line', () => assert.throws(holds('HTTP/1.1 200')));
  test('refuses another order', () => assert.throws(holds('hello\nServer: sluice')));
});
