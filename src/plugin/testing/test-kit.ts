import { compileExpression } from '../../lib/expression.ts';
import { withDefaults } from '../../lib/json-schema.ts';
import { ConfigError } from '../../model/errors.ts';
import type { GaugeName } from '../../model/gauge.ts';
import type { Value } from '../../model/resource.ts';
import type { Breakers } from '../breakers.ts';
import type { Cache } from '../cache.ts';
import type { Consumer, CredentialIndex, CredentialMatch } from '../consumer.ts';
import type { Plugin } from '../define-plugin.ts';
import type { UpstreamHandle } from '../exchange.ts';
import type { Clock, Kit, Logger, Place } from '../kit.ts';
import type { Limits, SharedLimits, SharedLimitsOptions } from '../limits.ts';
import type { OwnRequest, OwnResponse } from '../own-request.ts';
import type { SharedNumbers } from '../shared-numbers.ts';
import { compileTemplate, compileVariable } from '../variable.ts';
import { currentRun, runAllowing } from './forbidden-globals.ts';
import type { LogLine } from './log-line.ts';
import { ManualClock } from './manual-clock.ts';
import { NaiveBreakers } from './naive-breakers.ts';
import { NaiveCache } from './naive-cache.ts';
import { NaiveLimits } from './naive-limits.ts';
import { PlainNumbers } from './plain-numbers.ts';

/** A Consumer by username, or with as much as the test cares about. */
export type ConsumerInput = string | (Partial<Consumer> & Pick<Consumer, 'username'>);

/** A credential as configured on a Consumer, or as a Credential of its own when it has an id. */
export interface TestCredential {
  readonly consumer: ConsumerInput;
  readonly credentialId?: string;
  readonly config: Value;
}

export interface KitOptions {
  readonly clock?: Clock;
  /** Two runs with the same seed see the same `kit.random()`. */
  readonly seed?: number;
  readonly limits?: Limits;
  /** What `kit.sharedLimits` gives; `limits` in their place when absent. */
  readonly sharedLimits?: (options: SharedLimitsOptions) => SharedLimits;
  readonly breakers?: Breakers;
  readonly shared?: SharedNumbers;
  readonly credentials?: readonly TestCredential[];
  /** Consumers without a credential, for `anonymous_consumer`. */
  readonly consumers?: readonly ConsumerInput[];
  /** The Plugin's metadata; the schema's defaults are filled in. */
  readonly metadata?: Value;
  readonly place?: Place;
  readonly stateKey?: string;
  /** Upstreams that exist, by id. Inline ones are always accepted. Absent: every id exists. */
  readonly upstreams?: readonly string[];
  /** Answers the requests of the Plugin's own; without it they are refused. */
  send?(request: OwnRequest): Promise<OwnResponse>;
  /** Zones for stored responses, by name. Absent: every name is a zone of its own. */
  readonly caches?: Readonly<Record<string, Cache>>;
}

/** An Upstream of the test's Kit; `value` is what the Plugin asked for. */
export interface TestUpstream extends UpstreamHandle {
  readonly value: string | Value;
}

/** A Kit without sockets. What a Plugin did with it can be looked at afterwards. */
export class TestKit implements Kit {
  readonly place: Place;
  readonly stateKey: string;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly breakers: Breakers;
  readonly shared: SharedNumbers;
  readonly credentials: CredentialIndex;
  readonly log: Logger;
  readonly lines: LogLine[] = [];
  /** The milliseconds of every delay that was asked for. */
  readonly delays: number[] = [];
  readonly #sharedLimits: KitOptions['sharedLimits'];
  readonly #givenClock: Clock;
  readonly #metadata: Value | undefined;
  readonly #upstreams: readonly string[] | undefined;
  readonly #send: KitOptions['send'];
  /** The numbers that the Plugin shows in the metrics. */
  readonly gauges = new Map<GaugeName, number | undefined>();
  readonly #caches: KitOptions['caches'];
  readonly #ownCaches = new Map<string, Cache>();
  /** The requests of the Plugin's own. */
  readonly sent: OwnRequest[] = [];
  #seed: number;

  constructor(plugin: Plugin, options: KitOptions) {
    this.place = options.place ?? { kind: 'routes', id: 'test' };
    this.stateKey = options.stateKey ?? `${this.place.kind}/${this.place.id}/${plugin.name}`;
    this.#givenClock = options.clock ?? new ManualClock();
    this.clock = {
      now: () => runAllowing(() => this.#givenClock.now()),
      monotonic: () => runAllowing(() => this.#givenClock.monotonic()),
    };
    this.limits = options.limits ?? new NaiveLimits(this.clock);
    this.#sharedLimits = options.sharedLimits;
    this.breakers = options.breakers ?? new NaiveBreakers(this.clock);
    this.shared = options.shared ?? new PlainNumbers();
    this.credentials = credentialIndex(plugin, options);
    const write =
      (level: LogLine['level']) =>
      (message: string, fields: LogLine['fields'] = {}) => {
        const line = { level, message, fields };
        this.lines.push(line);
        currentRun()?.lines.push(line);
      };
    this.log = { error: write('error'), warn: write('warn'), info: write('info'), debug: write('debug') };
    this.#metadata =
      options.metadata && plugin.metadata
        ? (withDefaults(plugin.metadata, options.metadata) as Value)
        : options.metadata;
    this.#upstreams = options.upstreams;
    this.#send = options.send;
    this.#caches = options.caches;
    this.#seed = options.seed ?? 1;
  }

  sharedLimits(options: SharedLimitsOptions): SharedLimits {
    return this.#sharedLimits?.(options) ?? Object.assign(Object.create(this.limits), { release: () => {} });
  }

  /** Mulberry32: small, and the same on every machine. */
  random(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  /** Notes the delay, moves a ManualClock on by it, and resolves at once. */
  delay(milliseconds: number): Promise<void> {
    this.delays.push(milliseconds);
    currentRun()?.delays.push(milliseconds);
    if (this.#givenClock instanceof ManualClock) this.#givenClock.advance(milliseconds);
    return Promise.resolve();
  }

  gauge(name: GaugeName, value: number | undefined): void {
    this.gauges.set(name, value);
  }

  metadata(): Value | undefined {
    return this.#metadata;
  }

  upstream(upstream: string | Value): TestUpstream {
    if (typeof upstream === 'string' && this.#upstreams?.includes(upstream) === false) {
      throw new ConfigError(`there is no upstream ${upstream}`);
    }
    return { key: typeof upstream === 'string' ? upstream : JSON.stringify(upstream), value: upstream };
  }

  send(request: OwnRequest): Promise<OwnResponse> {
    this.sent.push(request);
    return runAllowing(() => this.#send?.(request) ?? Promise.reject(new Error('nothing answers')));
  }

  cache(zone: string): Cache | undefined {
    if (this.#caches !== undefined) return this.#caches[zone];
    let made = this.#ownCaches.get(zone);
    if (made === undefined) this.#ownCaches.set(zone, (made = new NaiveCache()));
    return made;
  }

  variable(name: string) {
    return compileVariable(name);
  }

  template(text: string) {
    return compileTemplate(text);
  }

  expression(expression: readonly unknown[]) {
    try {
      return compileExpression(expression, compileVariable);
    } catch (error) {
      throw new ConfigError(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }
}

/** Fills in what a test did not say about a Consumer. */
export function consumerFrom(input: ConsumerInput): Consumer {
  const given = typeof input === 'string' ? { username: input } : input;
  return { groupId: undefined, labels: {}, customId: undefined, ...given };
}

function credentialIndex(plugin: Plugin, options: KitOptions): CredentialIndex {
  const byIdentity = new Map<string, CredentialMatch>();
  const byUsername = new Map<string, CredentialMatch>();
  for (const input of options.consumers ?? []) {
    const consumer = consumerFrom(input);
    byUsername.set(consumer.username, { consumer, credentialId: undefined, config: {} });
  }
  for (const { consumer: input, credentialId, config } of options.credentials ?? []) {
    if (plugin.credential === undefined) throw new Error(`plugin ${plugin.name} has no credentials`);
    const consumer = consumerFrom(input);
    const filled = withDefaults(plugin.credential.config, config) as Value;
    byIdentity.set(plugin.credential.identity(filled), { consumer, credentialId, config: filled });
    byUsername.set(consumer.username, { consumer, credentialId: undefined, config: {} });
  }
  return {
    find: (identity) => byIdentity.get(identity),
    consumer: (username) => byUsername.get(username),
  };
}
