import { isObject, type JsonObject } from '../lib/json.ts';
import { validate, withDefaults } from '../lib/json-schema.ts';
import { nearestWord } from '../lib/nearest-word.ts';
import { type Schema, Type } from '../lib/schema.ts';
import type { CheckContext } from './define-resource.ts';
import { type Failure, refuse } from './failure.ts';
import type { Value } from './resource.ts';

/** What the model needs to know of a Plugin; every Plugin has this shape. */
export interface PluginDefinition {
  readonly name: string;
  readonly priority: number;
  readonly config: Schema;
  readonly metadata?: Schema;
  readonly credential?: {
    readonly config: Schema;
    identity(config: Value): string;
    readonly identityField: string;
  };
  /** May be bound to stream routes. */
  readonly streams?: boolean;
  group?(config: never): string | undefined;
  check?(config: never): string | undefined;
}

/** A Binding that is one of a group, all of which must have equal configs. */
export interface GroupMember {
  readonly plugin: string;
  readonly group: string;
  /** With defaults filled in and without `_meta`. */
  readonly config: Value;
}

const meta = Type.Object(
  {
    disable: Type.Optional(Type.Boolean()),
    error_response: Type.Optional(
      Type.Unsafe<string | JsonObject>({ oneOf: [{ type: 'string' }, { type: 'object' }] }),
    ),
    priority: Type.Optional(Type.Integer({ description: 'priority of plugins by customized order' })),
    filter: Type.Optional(
      Type.Unsafe<readonly unknown[]>({
        description: 'filter determines whether the plugin needs to be executed at runtime',
        type: 'array',
      }),
    ),
    pre_function: Type.Optional(
      Type.String({
        description:
          'function to be executed in each phase before execution of plugins. The pre_function will have access to two arguments: `conf` and `ctx`.',
      }),
    ),
  },
  { additionalProperties: false },
);

/** What `plugins` of a resource configure: Bindings alone (on connections instead of requests: `streams`), or credentials where a Plugin recognises callers. */
export type PluginRole = 'bindings' | 'streams' | 'consumer' | 'credential';

interface Entry {
  readonly definition: PluginDefinition;
  readonly binding: Schema;
  readonly credential: Schema | undefined;
}

/** The Plugins that a configuration may use, by name, with `_meta` put into their schemas. */
export class PluginSchemas {
  readonly #entries = new Map<string, Entry>();

  constructor(plugins: readonly PluginDefinition[]) {
    for (const definition of plugins) {
      this.#entries.set(definition.name, {
        definition,
        binding: withMeta(definition.config),
        credential: definition.credential && withMeta(definition.credential.config),
      });
    }
  }

  get(name: string): PluginDefinition | undefined {
    return this.#entries.get(name)?.definition;
  }

  all(): readonly PluginDefinition[] {
    return [...this.#entries.values()].map(({ definition }) => definition);
  }

  /** Whether the Plugin's config in that role is a credential, not a Binding. */
  isCredential(name: string, role: PluginRole): boolean {
    return role !== 'bindings' && role !== 'streams' && this.#entries.get(name)?.credential !== undefined;
  }

  /** The schema of the Plugin's config in a role; undefined for an unknown Plugin. */
  schema(name: string, role: PluginRole): Schema | undefined {
    const entry = this.#entries.get(name);
    return role === 'bindings' || role === 'streams' ? entry?.binding : (entry?.credential ?? entry?.binding);
  }

  /** What a credential is looked up by, with the config as it was sent. */
  identity(name: string, config: Value): string | undefined {
    const entry = this.#entries.get(name);
    if (entry?.credential === undefined) return undefined;
    return entry.definition.credential?.identity(withDefaults(entry.credential, config) as Value);
  }

  /** The group that a Binding belongs to, with the config as it was sent; undefined when to none. */
  groupMember(name: string, sent: Value): GroupMember | undefined {
    const definition = this.#entries.get(name)?.definition;
    if (definition?.group === undefined) return undefined;
    const { _meta: _own, ...config } = withDefaults(definition.config, sent) as JsonObject;
    const group = definition.group(config as never);
    return group === undefined ? undefined : { plugin: name, group, config };
  }

  /** Checks a resource's `plugins`: each known, each config valid. */
  check(plugins: Value, role: PluginRole, context: CheckContext): Failure | undefined {
    for (const [name, config] of Object.entries(plugins)) {
      const failed = this.#checkOne(name, config, role, context);
      if (failed === undefined) continue;
      const prefix = role === 'bindings' || role === 'streams' ? '' : 'invalid plugins configuration: ';
      return { ...refuse(prefix + failed.message, ['plugins', name, ...failed.path]), hint: failed.hint };
    }
    if (role !== 'credential') return undefined;
    const other = Object.keys(plugins).find((name) => !this.isCredential(name, role));
    return other === undefined
      ? undefined
      : refuse('only supports auth type plugins in consumer credential', ['plugins', other]);
  }

  #checkOne(name: string, config: unknown, role: PluginRole, context: CheckContext): Failure | undefined {
    const entry = this.#entries.get(name);
    const schema = this.schema(name, role);
    if (entry === undefined || schema === undefined) {
      const meant = nearestWord(name, this.#entries.keys());
      const hint = meant === undefined ? undefined : `did you mean ${meant}?`;
      return { ...refuse(`unknown plugin [${name}]`), hint };
    }
    if (role === 'streams' && entry.definition.streams !== true) {
      const able = this.all().filter(({ streams }) => streams === true);
      const names = able.map((plugin) => plugin.name).sort();
      return refuse(
        `plugin [${name}] works on HTTP requests, not on stream routes; those that do: ${names.join(', ')}`,
      );
    }
    if (!isObject(config) && !(Array.isArray(config) && config.length === 0)) {
      // A text put where the config belongs may be a secret, so it is not repeated.
      const shown = typeof config === 'string' ? '"…"' : Array.isArray(config) ? '[…]' : String(config);
      return refuse(`invalid plugin conf ${shown} for plugin [${name}]`);
    }
    const prefix = `failed to check the configuration of plugin ${name} err: `;
    const invalid = validate(schema, config);
    if (invalid !== undefined)
      return { ...refuse(prefix + invalid.message, invalid.path), hint: invalid.hint };
    if (!this.isCredential(name, role)) {
      const wrong = entry.definition.check?.(withDefaults(schema, config) as never);
      if (wrong !== undefined) return refuse(prefix + wrong);
    }
    return isObject(config) && isObject(config._meta) ? checkMeta(config._meta, prefix, context) : undefined;
  }
}

function checkMeta(value: JsonObject, prefix: string, context: CheckContext): Failure | undefined {
  if (value.pre_function !== undefined) {
    return refuse(`${prefix}_meta.pre_function is Lua and not supported; use a plugin of your own`, [
      '_meta',
      'pre_function',
    ]);
  }
  const wrong = Array.isArray(value.filter) ? context.expression(value.filter) : undefined;
  return wrong === undefined
    ? undefined
    : refuse(`failed to validate the 'vars' expression: ${wrong}`, ['_meta', 'filter']);
}

function withMeta(schema: Schema): Schema {
  const properties = isObject(schema.properties) ? schema.properties : {};
  return {
    $comment: 'this is a mark for our injected plugin schema',
    ...schema,
    properties: { ...properties, _meta: meta },
  };
}
