import type { BindingPlace } from '../model/binding.ts';
import type { GaugeName } from '../model/gauge.ts';
import type { Value } from '../model/resource.ts';
import type { Breakers } from './breakers.ts';
import type { Cache } from './cache.ts';
import type { CredentialIndex } from './consumer.ts';
import type { UpstreamHandle } from './exchange.ts';
import type { Limits, SharedLimits, SharedLimitsOptions } from './limits.ts';
import type { OwnRequest, OwnResponse } from './own-request.ts';
import type { SharedNumbers } from './shared-numbers.ts';
import type { Template, Variable } from './variable.ts';

/** Time. `now` is the wall clock, `monotonic` never goes back; both in milliseconds. */
export interface Clock {
  now(): number;
  monotonic(): number;
}

export interface Logger {
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Where a Binding was configured. */
export type Place = BindingPlace;

/** Everything a Plugin may use besides its config and the Exchange. With nothing else, it can be evaluated without side effects. */
export interface Kit {
  readonly place: Place;
  /** A prefix for keys of state that belongs to this Binding; stable across reloads and workers, changed when the config changes. */
  readonly stateKey: string;
  readonly clock: Clock;
  /** In [0, 1). */
  random(): number;
  /** Resolves after so many milliseconds. Never rejects; without sockets, as in `explain`, it resolves at once. */
  delay(milliseconds: number): Promise<void>;
  readonly limits: Limits;
  /** Limits in a Redis, for what several machines count together; to be released in `dispose`. */
  sharedLimits(options: SharedLimitsOptions): SharedLimits;
  readonly breakers: Breakers;
  readonly shared: SharedNumbers;
  /** The credentials of this Plugin. */
  readonly credentials: CredentialIndex;
  readonly log: Logger;
  /** Shows a number of this Binding in the metrics, with the Route's id; undefined takes it away. */
  gauge(name: GaugeName, value: number | undefined): void;
  /** The plugin_metadata of this Plugin with defaults filled in, or undefined; live. */
  metadata(): Value | undefined;
  /** An Upstream by id or as written inline, for Plugins that choose one. Throws ConfigError when there is none. */
  upstream(upstream: string | Value): UpstreamHandle;
  /**
   * Sends a request of the gateway's own to an Upstream, past all Plugins. Rejects with an Error when
   * the Upstream gave no whole answer; without sockets, as in `explain`, always.
   */
  send(request: OwnRequest): Promise<OwnResponse>;
  /** The zone of that name for stored responses; undefined when the settings have none. Without sockets, as in `explain`, it can be read and keeps nothing. */
  cache(zone: string): Cache | undefined;
  /** Compiles a variable's name once. */
  variable(name: string): Variable;
  /** Compiles a text with `$name` or `${name}` once. */
  template(text: string): Template;
  /** Compiles an expression (`vars`) once. Throws ConfigError with APISIX's text when it is wrong. */
  expression(
    expression: readonly unknown[],
  ): (exchange: { variable(name: string): string | undefined }) => boolean;
}
