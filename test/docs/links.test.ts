// Every relative link of every Markdown page leads to something that is there, and to a heading that
// the page has.

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

const root = path.join(import.meta.dirname, '../..');

const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g;
const CODE = /^```[\s\S]*?^```|`[^`\n]*`/gm;

/** What the relative links of a page lead to, as written. */
export function relativeLinks(markdown: string): string[] {
  return [...markdown.replaceAll(CODE, '').matchAll(LINK)]
    .map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/i.test(target));
}

/** The anchors of a page's headings, as forges make them. */
function anchors(markdown: string): Set<string> {
  const headings = markdown.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#+\s+(.+)$/gm);
  return new Set(
    [...headings].map(([, text]) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(/\s/g, '-'),
    ),
  );
}

function problem(page: string, target: string): string | undefined {
  const [file, anchor] = target.split('#');
  const place = file === '' ? page : path.normalize(path.join(path.dirname(page), file));
  if (!existsSync(path.join(root, place))) return `${page}: ${target} is not there`;
  if (anchor === undefined || statSync(path.join(root, place)).isDirectory()) return undefined;
  return anchors(readFileSync(path.join(root, place), 'utf8')).has(anchor)
    ? undefined
    : `${page}: ${place} has no heading #${anchor}`;
}

test('every relative link leads somewhere', () => {
  const pages = globSync('**/*.md', { cwd: root, exclude: ['node_modules/**', 'dist/**', '**/.sluice/**'] });
  let links = 0;
  const problems: string[] = [];
  for (const page of pages) {
    for (const target of relativeLinks(readFileSync(path.join(root, page), 'utf8'))) {
      links++;
      const wrong = problem(page, target);
      if (wrong !== undefined) problems.push(wrong);
    }
  }
  assert.deepEqual(problems, []);
  assert.ok(pages.length > 20 && links > 50, 'the test saw no links, so it tested nothing');
});

describe('the test of links', () => {
  test('finds links, and none in code', () => {
    assert.deepEqual(relativeLinks('[a](b.md) `[c](d.md)` [e](https://f)\n```md\n[g](h.md)\n```\n'), [
      'b.md',
    ]);
  });
  test('misses a page that is not there', () => {
    assert.match(problem('README.md', 'docs/nowhere.md') ?? '', /not there/);
  });
  test('misses a heading that is not there', () => {
    assert.match(problem('README.md', 'docs/testing.md#nowhere') ?? '', /no heading/);
    assert.equal(problem('README.md', 'docs/testing.md#kinds-of-tests'), undefined);
  });
});
