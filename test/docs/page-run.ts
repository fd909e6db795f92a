// Runs the examples of one page, block by block, and compares what they print with what the page says.

import assert from 'node:assert/strict';
import type { FencedBlock } from './fenced-blocks.ts';
import type { Playground } from './playground.ts';

export interface PageCounts {
  readonly gateways: number;
  readonly comparisons: number;
}

/** Runs all marked blocks of a page in their order; throws at the first that doesn't hold. */
export async function runPage(
  page: string,
  blocks: readonly FencedBlock[],
  playground: Playground,
): Promise<PageCounts> {
  let gateways = 0;
  let comparisons = 0;
  let output: string | undefined;
  if (blocks.some(({ mark, text }) => mark !== '' && /\b6379\b/.test(text))) await playground.startRedis();
  for (const block of blocks) {
    const place = `${page}:${block.line}`;
    switch (block.mark) {
      case '':
        continue;
      case 'gateway':
        gateways++;
        output = undefined;
        await start(block, playground);
        continue;
      case 'broken': {
        playground.write(`sluice.${block.language}`, block.text);
        const checked = await playground.run(`sluice check sluice.${block.language}`);
        assert.equal(checked.status, 1, `${place}: sluice check takes it`);
        output = checked.output;
        continue;
      }
      case 'request':
        assert.ok(gateways > 0, `${place}: no gateway block before it`);
        output = (await playground.run(block.text)).output;
        continue;
      case 'expect':
        assert.ok(output !== undefined, `${place}: nothing ran before it`);
        compare(place, block.text, output, playground.log);
        comparisons++;
        continue;
      default:
        // `own-plugin.ts` and the like: a file that later blocks need.
        assert.match(block.mark, /^[\w-]+\.\w+$/, `${place}: unknown mark ${block.mark}`);
        playground.write(block.mark, block.text);
    }
  }
  return { gateways, comparisons };
}

async function start({ language, text }: FencedBlock, playground: Playground): Promise<void> {
  if (language !== 'sh') {
    const file = `sluice.${language}`;
    playground.write(file, text);
    return playground.start(['--config', file]);
  }
  const command = text.trim();
  const args = /^(?:npx )?sluice start(.*)$/.exec(command) ?? /^npm start(?: --(.*))?$/.exec(command);
  assert.ok(args !== null, `not a way to start Sluice: ${command}`);
  return playground.start((args[1] ?? '').split(' ').filter((word) => word !== ''));
}

/** Each line of `expected` must be a line of `output`, in that order; `…` stands for any text. */
export function compare(place: string, expected: string, output: string, log = ''): void {
  const lines = output.split('\n');
  let at = 0;
  for (const line of expected.split('\n')) {
    if (line.trim() === '' || line.trim() === '…') continue;
    const parts = line.split('…').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const pattern = new RegExp(`^${parts.join('.*')}$`);
    const found = lines.findIndex((candidate, index) => index >= at && pattern.test(candidate));
    assert.ok(found >= 0, `${place}: expected\n  ${line}\nbut got\n${output}\n${log}`);
    at = found + 1;
  }
}
