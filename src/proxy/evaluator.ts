// The one evaluator (DESIGN section 2): a Snapshot compiled as traffic has it, with a Kit whose
// clock, chance, counters and time are inputs, and no way out.

import { seededRandom } from '../lib/seeded-random.ts';
import type { GeoSource } from '../model/geo-place.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Breakers } from '../plugin/breakers.ts';
import type { Cache } from '../plugin/cache.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import type { Clock, Logger } from '../plugin/kit.ts';
import type { Limits } from '../plugin/limits.ts';
import { NothingSent } from '../plugin/own-request.ts';
import type { SharedNumbers } from '../plugin/shared-numbers.ts';
import type { HealthSource } from '../state/memory/target-health.ts';
import { Evaluation, type EvaluationLimits } from './evaluation.ts';
import type { EvaluationRequest, ExplainedLogLine, Explanation } from './explanation.ts';
import type { TrustedHops } from './forwarded.ts';
import { Pools } from './pools.ts';
import { Runtime, type RuntimeSurroundings } from './runtime.ts';

/** What Balancers get instead of the workers' shared state. */
export interface EvaluationChance {
  random(): number;
  /** Monotonic ms. */
  now(): number;
  /** The turn of a Balancer that takes turns. */
  turn(): number;
}

export interface EvaluatorOptions {
  readonly plugins: readonly Plugin[];
  readonly withDefaults: RuntimeSurroundings['withDefaults'];
  readonly limits: EvaluationLimits;
  readonly trusted: TrustedHops | undefined;
  /** Where clients are; undefined where nobody knows. */
  readonly geo?: GeoSource;
  /** Of the listeners: the one that a URL names, else the first. */
  readonly ports: readonly number[];
  readonly clock: Clock;
  /** Limits for one evaluation: they start from what `counters` says and count for it alone. */
  createLimits(clock: Clock): Limits;
  /** Numbers to look at: changes are forgotten. */
  readonly shared: SharedNumbers;
  /** The zones as the workers have them; absent: every zone is empty. */
  cache?(zone: string): Cache | undefined;
  readonly counters: Explanation['counters'];
  /** Breakers that are looked at and not moved, at the evaluation's time. */
  createBreakers(clock: Clock): Breakers;
  /** What is known of Targets, to look at. */
  readonly health: HealthSource | undefined;
  /** The Targets of services that are registered elsewhere. */
  readonly discovered?: RuntimeSurroundings['discovered'];
  createBalancers(chance: EvaluationChance): RuntimeSurroundings['createBalancer'];
}

export interface EvaluateOptions {
  /** Unix milliseconds; the present when absent. */
  readonly now?: number;
  /** Determines what is random, and whose turn it is; 0 when absent. */
  readonly seed?: number;
}

/** Evaluates requests by one Snapshot. To be made anew when the Snapshot has moved. */
export class Evaluator {
  readonly runtime: Runtime;
  readonly #options: EvaluatorOptions;
  #last: Promise<unknown> = Promise.resolve();
  // What the Kits of the evaluation under way get.
  #clock: Clock;
  #random = seededRandom(0);
  #turn = 0;
  #limits: Limits;
  #breakers: Breakers;
  readonly #log: ExplainedLogLine[] = [];

  constructor(snapshot: Snapshot, options: EvaluatorOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#limits = options.createLimits(options.clock);
    this.#breakers = options.createBreakers(options.clock);
    const clock: Clock = { now: () => this.#clock.now(), monotonic: () => this.#clock.monotonic() };
    const random = () => this.#random();
    this.runtime = new Runtime(snapshot, {
      plugins: options.plugins,
      withDefaults: options.withDefaults,
      clock,
      random,
      delay: () => Promise.resolve(),
      send: () => Promise.reject(new NothingSent('an evaluation sends nothing')),
      cache: (zone) => readOnly(options.cache?.(zone)),
      limits: {
        fixedWindow: (...asked) => this.#limits.fixedWindow(...asked),
        slidingWindow: (...asked) => this.#limits.slidingWindow(...asked),
        leakyBucket: (...asked) => this.#limits.leakyBucket(...asked),
        enter: (...asked) => this.#limits.enter(...asked),
        leave: (key) => this.#limits.leave(key),
      },
      breakers: {
        admit: (...asked) => this.#breakers.admit(...asked),
        report: () => undefined,
      },
      health: options.health,
      shared: options.shared,
      gauge: () => {},
      discovered: options.discovered,
      log: this.#logger(),
      // Nothing is ever sent: pools stay empty, names stay names.
      pools: new Pools({ tls: noConnection, http2: noConnection }),
      resolver: {
        addresses: () => undefined,
        resolve: () => Promise.resolve([]),
        watch: () => () => {},
      },
      createBalancer: options.createBalancers({
        random,
        now: () => this.#clock.monotonic(),
        turn: () => this.#turn++,
      }),
    });
    this.runtime.geo = options.geo;
  }

  get revision(): number {
    return this.runtime.revision;
  }

  /** Says what would become of a request. Throws a TypeError for one that no client could send. */
  evaluate(request: EvaluationRequest, options: EvaluateOptions = {}): Promise<Explanation> {
    // One after the other: a handler that waits must not see the next one's clock.
    const result = this.#last.then(() => this.#evaluate(request, options));
    this.#last = result.catch(() => undefined);
    return result;
  }

  dispose(): void {
    this.runtime.dispose();
  }

  async #evaluate(
    request: EvaluationRequest,
    { now = this.#options.clock.now(), seed = 0 }: EvaluateOptions,
  ): Promise<Explanation> {
    const { clock, limits, trusted, ports, counters } = this.#options;
    const monotonic = clock.monotonic() + now - clock.now();
    this.#clock = { now: () => now, monotonic: () => monotonic };
    this.#random = seededRandom(seed);
    this.#turn = seed >>> 0;
    this.#limits = this.#options.createLimits(this.#clock);
    this.#breakers = this.#options.createBreakers(this.#clock);
    this.#log.length = 0;
    const evaluation = new Evaluation(this.runtime, request, { now, seed, limits, trusted, ports });
    await evaluation.run();
    const { revision, ...rest } = evaluation.explain();
    return { revision, counters, ...rest, log: [...this.#log] };
  }

  #logger(): Logger {
    const write =
      (level: ExplainedLogLine['level']) => (message: string, fields?: ExplainedLogLine['fields']) => {
        this.#log.push({ level, message, ...(fields !== undefined && { fields }) });
      };
    return { error: write('error'), warn: write('warn'), info: write('info'), debug: write('debug') };
  }
}

function noConnection(): never {
  throw new Error('an evaluation opens no connection');
}

/** A Cache that is looked into and not touched; an empty one where there is none to look into. */
function readOnly(cache: Cache | undefined): Cache {
  return {
    name: cache?.name ?? '',
    maxBodyBytes: cache?.maxBodyBytes ?? 0,
    find: (resource, partition) => cache?.find(resource, partition) ?? [],
    body: (entry) => cache?.body(entry),
    put() {},
    refresh() {},
    remove() {},
    purge: () => 0,
    depart: () => 'nobody',
    land() {},
    landed: () => Promise.resolve(),
  };
}
