import type {
  ConsumerGroupShape,
  ConsumerShape,
  CredentialShape,
  GlobalRuleShape,
  Id,
  MetadataConfigs,
  PluginConfigShape,
  PluginConfigs,
  ProtoShape,
  RouteShape,
  SecretShape,
  ServiceShape,
  SettingsShape,
  SslShape,
  StreamRouteShape,
  UpstreamShape,
} from './config-shapes.ts';

type Ids = readonly Id[];

/** What may be written to refer to one of these ids: a number is the same id as its decimal text. */
export type ReferenceTo<I extends Id> = I | `${I}` | (I extends `${infer N extends number}` ? N : never);

/** The ids of a configuration, by kind, as references are written. */
interface Referable<U extends Ids, S extends Ids, P extends Ids, G extends Ids, C extends Ids> {
  readonly upstreams: ReferenceTo<U[number]>;
  readonly services: ReferenceTo<S[number]>;
  readonly plugin_configs: ReferenceTo<P[number]>;
  readonly consumer_groups: ReferenceTo<G[number]>;
  readonly ssls: ReferenceTo<C[number]>;
}

interface Identified<I = Id> {
  /** What others refer to it by. */
  readonly id: I;
}

/** A list of resources, whose ids the compiler learns one by one. */
type List<V, I extends Ids> = { readonly [K in keyof I]: V & Identified<I[K]> };

type Metadata =
  | { readonly [N in keyof MetadataConfigs]: Identified<N> & MetadataConfigs[N] }[keyof MetadataConfigs]
  | (Identified<keyof PluginConfigs & string> & Readonly<Record<string, unknown>>);

/**
 * All that a configuration file may say: settings, and resources as lists under the Admin API's names.
 *
 * The parameters are the ids of Upstreams, Services, Plugin configs, Consumer groups and SSLs.
 */
export interface Config<
  U extends Ids = Ids,
  S extends Ids = Ids,
  P extends Ids = Ids,
  G extends Ids = Ids,
  C extends Ids = Ids,
  R extends Referable<U, S, P, G, C> = Referable<NoInfer<U>, NoInfer<S>, NoInfer<P>, NoInfer<G>, NoInfer<C>>,
> extends SettingsShape {
  readonly upstreams?: List<UpstreamShape<R>, U>;
  readonly services?: List<ServiceShape<R>, S>;
  readonly plugin_configs?: List<PluginConfigShape<R>, P>;
  readonly consumer_groups?: List<ConsumerGroupShape<R>, G>;
  readonly ssls?: List<SslShape, C>;
  readonly routes?: readonly (RouteShape<R> & Identified)[];
  readonly stream_routes?: readonly (StreamRouteShape<R> & Identified)[];
  readonly global_rules?: readonly (GlobalRuleShape<R> & Identified)[];
  readonly consumers?: readonly (ConsumerShape<R> & {
    /** Further credentials, each with an id of its own. */
    readonly credentials?: readonly (CredentialShape & Identified)[];
  })[];
  readonly protos?: readonly (ProtoShape & Identified)[];
  readonly secrets?: readonly (SecretShape & Identified<`${string}/${string}`>)[];
  readonly plugin_metadata?: readonly Metadata[];
}

/**
 * A configuration, checked by the compiler: wrong names, wrong configs of Plugins, and references to
 * ids that the configuration doesn't have. Returns what it is given.
 *
 * Ids that aren't literals, for example of lists that are computed, are checked when it is loaded.
 */
export function defineConfig<
  const U extends Ids = [],
  const S extends Ids = [],
  const P extends Ids = [],
  const G extends Ids = [],
  const C extends Ids = [],
>(config: Config<U, S, P, G, C>): Config {
  return config as Config;
}
