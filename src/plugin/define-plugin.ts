import type { Schema, Static } from '../lib/schema.ts';
import type { Value } from '../model/resource.ts';
import type {
  AccessExchange,
  BeforeProxyExchange,
  ConnectionView,
  LogExchange,
  ResponseBodyExchange,
  ResponseExchange,
  RewriteExchange,
} from './exchange.ts';
import type { Kit } from './kit.ts';
import type { Reply } from './reply.ts';

/** Nothing means: go on. A Reply ends the request. A promise delays it. */
export type Outcome = Reply | undefined | void;
export type MaybePromise<T> = T | Promise<T>;

/** The phases of a Binding, in the order in which they run. An absent phase costs nothing. */
export interface Handlers {
  rewrite?(exchange: RewriteExchange): MaybePromise<Outcome>;
  access?(exchange: AccessExchange): MaybePromise<Outcome>;
  beforeProxy?(exchange: BeforeProxyExchange): void;
  /** Runs for Replies too. Must be synchronous: the head is on its way. */
  responseHeaders?(exchange: ResponseExchange): void;
  responseBody?(exchange: ResponseBodyExchange): MaybePromise<void>;
  /** Runs at every end: also after a Reply, an abort, an error. */
  log?(exchange: LogExchange): void;
  /** A client has connected on a stream route. A Reply closes the connection: only its status and reason are kept, for the log. */
  connect?(connection: ConnectionView): MaybePromise<Outcome>;
  /** Its end, whatever the end. */
  disconnect?(connection: ConnectionView): void;
  /** Called once, when the last Exchange that could use this Binding has ended. */
  dispose?(): void;
}

/** What an auth Plugin configures on a Consumer or a Credential. */
export interface CredentialDefinition {
  /** Schema of the Plugin's config on a Consumer or Credential. */
  readonly config: Schema;
  /** What the credential is looked up by; unique among all credentials of the Plugin. */
  identity(config: Value): string;
  /** The property that holds the identity, for the message `duplicate key of plugin key-auth …`. */
  readonly identityField: string;
}

/** What a Binding asks of the telemetry; carried as bits of the Exchange's record. */
export interface Observation {
  /** Count this Exchange in the per-Route metrics. */
  readonly metrics?: boolean;
  /** Label metrics with names instead of ids. */
  readonly preferName?: boolean;
}

export interface Plugin {
  readonly name: string;
  /** One sentence for docs and console. */
  readonly summary: string;
  /** APISIX's number; higher runs first within a phase. */
  readonly priority: number;
  readonly config: Schema;
  /** Schema of the Plugin's plugin_metadata, where it has one. */
  readonly metadata?: Schema;
  /** Present for Plugins that recognise callers. A Route with one of them and no caller recognised is a 401 from the Pipeline itself. */
  readonly credential?: CredentialDefinition;
  /** Which body a Binding with this config needs to have whole; absent means it streams. */
  needsBody?(config: never): 'request' | 'response' | 'both' | undefined;
  /** What the telemetry should keep of Exchanges under a Binding with this config. */
  observe?(config: never): Observation;
  /** May be bound to stream routes, where `connect` and `disconnect` are all that runs. */
  readonly streams?: boolean;
  /** A name for Bindings that work as one: all that return the same text must have equal configs. */
  group?(config: never): string | undefined;
  /** Checks what a schema can't say. Returns APISIX's error text, or undefined when all is well. */
  check?(config: never): string | undefined;
  /** Once per Binding when the configuration changes, on each worker; never per request. */
  create(config: never, kit: Kit): Handlers;
}

/**
 * Defines a Plugin. Lifecycle of a Binding: 1. schema validation, defaults filled in; 2. `check`;
 * 3. `create` on each worker; 4. handlers, for every Exchange; 5. `dispose`.
 */
export function definePlugin<S extends Schema>(
  definition: Omit<Plugin, 'config' | 'create' | 'check' | 'group' | 'needsBody' | 'observe'> & {
    readonly config: S;
    needsBody?(config: Static<S>): 'request' | 'response' | 'both' | undefined;
    observe?(config: Static<S>): Observation;
    group?(config: Static<S>): string | undefined;
    check?(config: Static<S>): string | undefined;
    create(config: Static<S>, kit: Kit): Handlers;
  },
): Plugin {
  return definition as Plugin;
}
