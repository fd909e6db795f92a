// The guides whose examples are several processes: each `gateway` block starts one beside the others.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { PostgresServer } from '../support/postgres-server.ts';
import { type FencedBlock, fencedBlocks } from './fenced-blocks.ts';
import { compare } from './page-run.ts';
import { Playground } from './playground.ts';

const root = path.join(import.meta.dirname, '../..');

async function runPage(page: string, playground: Playground, perform: (block: FencedBlock) => Promise<void>) {
  const blocks = fencedBlocks(readFileSync(path.join(root, page), 'utf8'));
  let comparisons = 0;
  for (const [index, block] of blocks.entries()) {
    const place = `${page}:${block.line}`;
    switch (block.mark) {
      case '':
      case 'expect':
        continue;
      case 'gateway':
        await playground.launch(block.text);
        continue;
      case 'kill':
        await playground.kill(
          blocks.find(({ mark, text }) => mark === 'gateway' && text.includes(block.text.trim().slice(2)))!
            .text,
        );
        continue;
      case 'request': {
        const expected = blocks[index + 1]?.mark === 'expect' ? blocks[index + 1].text : undefined;
        if (expected === undefined) {
          const { status, output } = await playground.run(block.text);
          assert.equal(status, 0, `${place}: ${output}`);
          continue;
        }
        comparisons++;
        // What was written at one process reaches the others in its own time.
        await eventually(place, async () => {
          compare(place, expected, (await playground.run(block.text)).output, playground.log);
          return true;
        });
        continue;
      }
      default:
        await perform(block);
    }
  }
  assert.ok(comparisons > 0, `${page} has no \`\`\`text expect block`);
}

test('docs/guides/postgresql.md', async (t) => {
  const [playground, server] = [await Playground.open(), await PostgresServer.start({ after })];
  t.after(() => playground.close());
  playground.place(5432, server.port);
  await runPage('docs/guides/postgresql.md', playground, async ({ language, text }) => {
    assert.equal(language, 'sql');
    for (const statement of text.split(';')) {
      if (statement.trim() !== '') await server.query('postgres', statement);
    }
  });
});

test('docs/guides/control-plane-and-data-planes.md', async (t) => {
  const playground = await Playground.open();
  t.after(() => playground.close());
  await runPage('docs/guides/control-plane-and-data-planes.md', playground, ({ mark }) =>
    assert.fail(`unknown mark ${mark}`),
  );
});
