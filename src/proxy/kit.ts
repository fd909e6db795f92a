import { compileExpression } from '../lib/expression.ts';
import { ConfigError } from '../model/errors.ts';
import type { GaugeName, GaugeReading } from '../model/gauge.ts';
import type { Value } from '../model/resource.ts';
import type { Breakers } from '../plugin/breakers.ts';
import type { Cache } from '../plugin/cache.ts';
import type { CredentialIndex } from '../plugin/consumer.ts';
import type { UpstreamHandle } from '../plugin/exchange.ts';
import type { Clock, Kit, Logger, Place } from '../plugin/kit.ts';
import type { Limits, SharedLimits, SharedLimitsOptions } from '../plugin/limits.ts';
import type { OwnRequest, OwnResponse } from '../plugin/own-request.ts';
import type { SharedNumbers } from '../plugin/shared-numbers.ts';
import {
  compileTemplate,
  compileVariable,
  type Template,
  type Variable,
  type VariableSource,
} from '../plugin/variable.ts';
import type { Binding } from './binding.ts';

/** What the Kits of a thread have in common. */
export interface KitSurroundings {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly breakers: Breakers;
  readonly shared: SharedNumbers;
  readonly log: Logger;
  /** Absent where nothing may go out: then this machine's own Limits stand in. */
  sharedLimits?(options: SharedLimitsOptions): SharedLimits;
  random(): number;
  delay(milliseconds: number): Promise<void>;
  credentials(plugin: string): CredentialIndex;
  metadata(plugin: string): Value | undefined;
  upstream(upstream: string | Value, owner: string): UpstreamHandle;
  send(request: OwnRequest): Promise<OwnResponse>;
  gauge(reading: GaugeReading): void;
  cache(zone: string): Cache | undefined;
}

/** The Kit of one Binding on one Route. */
export class BindingKit implements Kit {
  readonly place: Place;
  readonly stateKey: string;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly breakers: Breakers;
  readonly shared: SharedNumbers;
  readonly credentials: CredentialIndex;
  readonly log: Logger;
  readonly #plugin: string;
  readonly #routeKey: string;
  readonly #surroundings: KitSurroundings;

  constructor(binding: Binding, routeKey: string, surroundings: KitSurroundings) {
    this.#plugin = binding.plugin.name;
    this.#routeKey = routeKey;
    this.#surroundings = surroundings;
    this.place = binding.place;
    // As APISIX counts: per Route also for what a Service or Consumer brings, anew when the config changes.
    // Short, as it is hashed with every request.
    const owner = `${routeKey}|${binding.place.kind}|${this.#plugin}`;
    this.stateKey = digest(`${owner}|${JSON.stringify(binding.config)}`);
    this.clock = surroundings.clock;
    this.limits = surroundings.limits;
    this.breakers = surroundings.breakers;
    this.shared = surroundings.shared;
    this.credentials = surroundings.credentials(this.#plugin);
    this.log = surroundings.log;
  }

  sharedLimits(options: SharedLimitsOptions): SharedLimits {
    return this.#surroundings.sharedLimits?.(options) ?? standIn(this.limits);
  }

  random(): number {
    return this.#surroundings.random();
  }

  delay(milliseconds: number): Promise<void> {
    return this.#surroundings.delay(milliseconds);
  }

  gauge(name: GaugeName, value: number | undefined): void {
    this.#surroundings.gauge({ name, key: this.stateKey, route: this.#routeKey, value });
  }

  metadata(): Value | undefined {
    return this.#surroundings.metadata(this.#plugin);
  }

  upstream(upstream: string | Value): UpstreamHandle {
    return this.#surroundings.upstream(upstream, `${this.#routeKey}|${this.#plugin}`);
  }

  send(request: OwnRequest): Promise<OwnResponse> {
    return this.#surroundings.send(request);
  }

  cache(zone: string): Cache | undefined {
    return this.#surroundings.cache(zone);
  }

  variable(name: string): Variable {
    return compileVariable(name);
  }

  template(text: string): Template {
    return compileTemplate(text);
  }

  expression(expression: readonly unknown[]): (source: VariableSource) => boolean {
    try {
      return compileExpression(expression, compileVariable);
    } catch (error) {
      throw new ConfigError(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }
}

function standIn(limits: Limits): SharedLimits {
  return {
    fixedWindow: (...asked) => limits.fixedWindow(...asked),
    slidingWindow: (...asked) => limits.slidingWindow(...asked),
    leakyBucket: (...asked) => limits.leakyBucket(...asked),
    enter: (...asked) => limits.enter(...asked),
    leave: (key) => limits.leave(key),
    release: () => {},
  };
}

/** A short text for a long one: 64 bits, as operators don't collide on purpose. */
function digest(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b) + 1;
  }
  return (a >>> 0).toString(36) + (b >>> 0).toString(36);
}
