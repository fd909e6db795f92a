import type { Figure, FigureCase, LoadCase } from './bench-case.ts';
import type { Machine } from './machine.ts';
import type { LoadCaseResult, Pace } from './rounds.ts';

/** A whole run, as docs/benchmarks.json has it. */
export interface Results {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly pace: Pace;
  /** Gateway and load had a core each. */
  readonly pinned: boolean;
  readonly loadCases: readonly (Pick<LoadCase, 'name' | 'title' | 'about'> & LoadCaseResult)[];
  readonly figureCases: readonly (Pick<FigureCase, 'name' | 'title' | 'about'> & {
    readonly figures: readonly Figure[];
  })[];
}

/** Something with a target, of either kind. */
export interface Verdict {
  readonly title: string;
  readonly target: string;
  readonly stretch: string;
  readonly measured: string;
  readonly known: string;
  readonly verdict: 'met' | 'met, stretch too' | 'missed' | '';
}

export function verdicts({ loadCases, figureCases }: Results): Verdict[] {
  const ratios = loadCases.flatMap(({ comparisons }) =>
    comparisons.map(({ title, against, ratio, range, target, stretch, known }) => ({
      title: `${title}, against ${against}`,
      target: target === undefined ? '' : `≤ ${target}`,
      stretch: stretch === undefined ? '' : `≤ ${stretch}`,
      measured: `${ratio.toFixed(2)} (${range[0].toFixed(2)}–${range[1].toFixed(2)})`,
      known: known ?? '',
      verdict: judge(rounded(ratio), target, stretch),
    })),
  );
  const figures = figureCases.flatMap((one) =>
    one.figures.map(({ title, unit, value, target, better, known }) => ({
      title,
      target: target === undefined ? '' : `${better === 'lower' ? '≤' : '≥'} ${target} ${unit}`,
      stretch: '',
      measured: `${shortNumber(value)} ${unit}`,
      known: known ?? '',
      verdict:
        better === 'lower' ? judge(value, target) : judge(-value, target === undefined ? undefined : -target),
    })),
  );
  return [...ratios, ...figures];
}

/** Three digits say all that such figures can say. */
export function shortNumber(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function judge(value: number, target?: number, stretch?: number): Verdict['verdict'] {
  if (target === undefined) return '';
  if (value > target) return 'missed';
  return stretch !== undefined && value <= stretch ? 'met, stretch too' : 'met';
}

/** As the page shows it, so that the verdict agrees with what is read. */
function rounded(ratio: number): number {
  return Number(ratio.toFixed(2));
}
