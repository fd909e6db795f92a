import assert from 'node:assert/strict';
import test from 'node:test';
import { page } from './page.ts';
import type { Results } from './results.ts';

function results(ratio: number, writes: number): Results {
  return {
    machine: {
      cores: 2,
      cpuModel: 'a CPU',
      memoryGigabytes: 8,
      kernel: '6.1',
      node: '26.0.0',
      nginx: '1.22.1',
      wrk: '4.1.0',
      sluice: '0.1.0',
      date: '2030-01-01',
    },
    quick: false,
    pace: { rounds: 5, secondsPerRun: 2, warmUpSeconds: 2 },
    pinned: true,
    loadCases: [
      {
        name: 'bare-route',
        title: 'a bare route',
        about: 'One Route.',
        contenders: [],
        comparisons: [
          {
            title: 'bare route',
            subject: 'Sluice',
            against: 'nginx',
            target: 1.25,
            stretch: 1.1,
            ratio,
            range: [ratio - 0.01, ratio + 0.01],
            baselineCpu: 15,
            subjectCpu: 15 * ratio,
          },
        ],
      },
    ],
    figureCases: [
      {
        name: 'admin-api',
        title: 'the Admin API',
        about: 'Writes.',
        figures: [{ title: 'writes', unit: 'writes/s', value: writes, target: 1000, better: 'higher' }],
      },
    ],
  };
}

/** The line of the table of targets that begins so. */
function row(text: string, start: string): string {
  return text.split('\n').find((line) => line.startsWith(`| ${start}`)) ?? '';
}

test('a ratio up to its target is met, and up to its stretch more than that', () => {
  assert.match(row(page(results(1.1, 1)), 'bare route'), /\| met, stretch too \|$/);
  assert.match(row(page(results(1.254, 1)), 'bare route'), /\| 1\.25 .*\| met \|$/);
  assert.match(row(page(results(1.26, 1)), 'bare route'), /\| \*\*missed\*\* \|$/);
});

test('a figure of which more is better is met from its target on', () => {
  assert.match(row(page(results(1, 1000)), 'writes'), /≥ 1000 writes\/s .*\| met \|$/);
  assert.match(row(page(results(1, 999)), 'writes'), /\| \*\*missed\*\* \|$/);
});

test('only missed targets ask for an explanation', () => {
  assert.doesNotMatch(page(results(1, 1000)), /Where the time goes/);
  assert.match(
    page(results(2, 1000)),
    /<!-- where the time goes: bare route, against nginx -->\nNot yet explained\.\n<!-- end -->/,
  );
});

test('an explanation that somebody wrote outlives the next run, and goes when the target is met', () => {
  const first = page(results(2, 1));
  const written = first.replace('Not yet explained.', 'The kernel takes it.\n\nAll of it.');
  assert.match(
    page(results(1.9, 1), written),
    /nginx -->\nThe kernel takes it\.\n\nAll of it\.\n<!-- end -->/,
  );
  assert.doesNotMatch(page(results(1, 1), written), /kernel takes/);
});
