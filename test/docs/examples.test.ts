// The examples outside of the guides: each plugin's example.yaml and README, the files in examples/,
// and the calls of the README.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { checkFile } from '../../src/server/file-configuration.ts';
import { parseText } from '../../src/stores/file/parse.ts';
import { fencedBlocks } from './fenced-blocks.ts';
import { compare } from './page-run.ts';
import { Playground } from './playground.ts';

const root = path.join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');

/** What `sluice check` would say of a file at this place with this text; empty when it is fine. */
async function problems(name: string, text: string): Promise<string> {
  try {
    await checkFile(path.join(root, name), parseText(name, text, { environment: {} }));
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

describe('can be served:', () => {
  const files = globSync(['src/plugins/*/example.yaml', 'examples/**/*.yaml'], { cwd: root });
  for (const file of files.sort()) {
    test(file, async () => assert.equal(await problems(file, read(file)), ''));
  }
  test('there are examples at all', () => assert.ok(files.length > 15));

  for (const readme of globSync('src/plugins/*/README.md', { cwd: root }).sort()) {
    test(readme, async () => {
      const blocks = fencedBlocks(read(readme)).filter(({ language }) => language === 'yaml');
      assert.ok(blocks.length > 0, 'no example');
      for (const { text } of blocks) assert.equal(await problems('sluice.yaml', text), '');
    });
  }

  test('what is wrong is found', async () => {
    const found = await problems('sluice.yaml', 'routes: [{ id: 1, uri: /a, upstream_id: 2 }]');
    assert.match(found, /failed to fetch upstream info by upstream id \[2\]/);
  });
});

describe("the README's calls", () => {
  let playground: Playground;
  before(async () => {
    playground = await Playground.open();
    await playground.start([]);
  });
  after(() => playground.close());

  test('work as they stand there', async () => {
    const calls = fencedBlocks(read('README.md'))
      .filter(({ language, text }) => language === 'sh' && /^curl /m.test(text))
      .map(({ text }) => text.replaceAll('orders-service.internal:8080', '127.0.0.1:8080'));
    assert.ok(calls.length >= 3, 'the README has no calls');
    const { output } = await playground.run(calls.join('\n'));
    compare(
      'README.md',
      `HTTP/1.1 201 Created
{"key":"/apisix/routes/orders-api-proxy",…
HTTP/1.1 201 Created
{"key":"/apisix/routes/orders-gateway",…
{"key":"/apisix/consumers/jack",…
HTTP/1.1 200 OK
X-RateLimit-Limit: 500
X-RateLimit-Remaining: 499
GET /internal/orders/123 at 8080
X-Consumer-Username: jack`,
      output,
      playground.log,
    );
  });
});
