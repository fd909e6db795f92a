// A case's gateways under load by turns: A B A B …, every other round backwards, so that what the
// machine does meanwhile meets all of them.

import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from './bench.ts';
import type { Comparison, LoadCase } from './bench-case.ts';
import { runH2Load } from './h2-load.ts';
import { checkAnswer, DEFAULT_LOAD, type LoadResult, runLoad } from './load.ts';
import { maximum, median, minimum } from './median.ts';
import { processTree, residentMegabytes } from './process-tree.ts';
import type { RunningGateway } from './running-gateway.ts';

export interface Pace {
  readonly rounds: number;
  readonly secondsPerRun: number;
  readonly warmUpSeconds: number;
}

/** V8 compiles for some seconds what a gateway does often; that is no cost of a request. */
export const FULL_PACE: Pace = { rounds: 5, secondsPerRun: 2, warmUpSeconds: 3 };
export const QUICK_PACE: Pace = { rounds: 2, secondsPerRun: 1, warmUpSeconds: 1 };

/** Between two runs, so that what one leaves behind (log lines, closed connections) is gone. */
const PAUSE_MS = 150;
const START_SECONDS = 0.5;

export interface ContenderResult {
  readonly name: string;
  /** Of all rounds but the warm-up. */
  readonly rounds: readonly LoadResult[];
  /** Medians of the rounds; the sum of the errors. */
  readonly median: LoadResult;
  /** Of the whole process tree after the last round. */
  readonly residentMegabytes: number;
}

export interface ComparisonResult extends Comparison {
  /** The median of the rounds' ratios. */
  readonly ratio: number;
  /** The ratios of single rounds, least and greatest. */
  readonly range: readonly [number, number];
  readonly baselineCpu: number;
  readonly subjectCpu: number;
}

export interface LoadCaseResult {
  readonly contenders: readonly ContenderResult[];
  readonly comparisons: readonly ComparisonResult[];
}

/** A quick run looks only once at what has no target. */
export function paceOf({ comparisons }: LoadCase, quick: boolean): Pace {
  if (!quick) return FULL_PACE;
  return comparisons.some(({ target }) => target !== undefined) ? QUICK_PACE : { ...QUICK_PACE, rounds: 1 };
}

/** How long a case takes. */
export function secondsOf({ contenders, gateways }: LoadCase, pace: Pace): number {
  const runs = contenders.length * (pace.rounds * pace.secondsPerRun + pace.warmUpSeconds);
  const pauses = (contenders.length * (pace.rounds + 1) * (PAUSE_MS + 50)) / 1000;
  return runs + pauses + Object.keys(gateways).length * START_SECONDS;
}

export async function measureLoadCase(
  bench: Bench,
  benchCase: LoadCase,
  pace: Pace,
  onProgress: (what: string) => void,
): Promise<LoadCaseResult> {
  const gateways = new Map<string, RunningGateway>();
  try {
    for (const [name, start] of Object.entries(benchCase.gateways)) {
      onProgress(`starting ${name}`);
      gateways.set(name, await start(bench));
    }
    const entries = benchCase.contenders.map((contender) => ({
      name: contender.name,
      gateway: gateways.get(contender.gateway)!,
      load: { ...DEFAULT_LOAD, ...contender.load },
      rounds: [] as LoadResult[],
    }));
    for (let round = 0; round <= pace.rounds; round++) {
      for (const { name, gateway, load, rounds } of round % 2 === 0 ? entries : entries.toReversed()) {
        onProgress(round === 0 ? `warming up ${name}` : `round ${round} of ${pace.rounds}: ${name}`);
        const seconds = round === 0 ? pace.warmUpSeconds : pace.secondsPerRun;
        const { streams } = load;
        const result = await (streams === undefined
          ? runLoad(bench, gateway, load, seconds)
          : runH2Load(bench, gateway, { ...load, streams }, seconds));
        // A limit's first answers may still have been good ones in the warm-up; h2load knows each status.
        if (round === 0 && streams === undefined) await checkAnswer(gateway, load);
        else if (round === 0) continue;
        else rounds.push(result);
        await delay(PAUSE_MS);
      }
    }
    const contenders = entries.map(({ name, gateway, rounds }) => ({
      name,
      rounds,
      median: medianOf(rounds),
      residentMegabytes: residentMegabytes(processTree(gateway.child.pid)),
    }));
    return { contenders, comparisons: benchCase.comparisons.map((one) => compare(one, contenders)) };
  } finally {
    for (const { child } of gateways.values()) await bench.children.stop(child);
  }
}

function compare(comparison: Comparison, contenders: readonly ContenderResult[]): ComparisonResult {
  const find = (wanted: string): ContenderResult => {
    const found = contenders.find(({ name }) => name === wanted);
    if (found === undefined) throw new Error(`${comparison.title}: there is no contender ${wanted}`);
    return found;
  };
  const subject = find(comparison.subject);
  const against = find(comparison.against);
  const ratios = subject.rounds.map(
    (round, index) => round.cpuMicrosecondsPerRequest / against.rounds[index].cpuMicrosecondsPerRequest,
  );
  return {
    ...comparison,
    ratio: median(ratios),
    range: [minimum(ratios), maximum(ratios)],
    baselineCpu: against.median.cpuMicrosecondsPerRequest,
    subjectCpu: subject.median.cpuMicrosecondsPerRequest,
  };
}

function medianOf(rounds: readonly LoadResult[]): LoadResult {
  const of = (key: keyof LoadResult) => median(rounds.map((round) => round[key]));
  return {
    requests: of('requests'),
    requestsPerSecond: of('requestsPerSecond'),
    cpuMicrosecondsPerRequest: of('cpuMicrosecondsPerRequest'),
    coreUse: of('coreUse'),
    p50Milliseconds: of('p50Milliseconds'),
    p99Milliseconds: of('p99Milliseconds'),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
  };
}
