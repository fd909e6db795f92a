import { isObject, type JsonObject } from '../lib/json.ts';
import type { Schema } from '../lib/schema.ts';
import { annotations, replaceTextAt } from '../lib/schema-annotations.ts';
import { refuse } from './failure.ts';
import type { PluginSchemas } from './plugin-schema.ts';
import type { Kind, Resource, Value } from './resource.ts';
import { resources } from './resources.ts';
import { isSealed, isSecretReference, type Sealing } from './sealing.ts';
import { secretManagers } from './secret.ts';

/** Gives a resource's value with each secret text replaced; `field` names where it belongs: `key-auth.key`. */
export function replaceSecrets(
  { kind, id, value }: Pick<Resource, 'kind' | 'id' | 'value'>,
  plugins: PluginSchemas,
  replace: (text: string, field: string) => string,
): Value {
  let result = replaceMarked(value, ownSchema(kind, id, plugins), ownPrefix(kind, id), replace) as Value;
  const role = resources[kind].plugins;
  if (role === 'none' || !isObject(result.plugins)) return result;
  for (const [name, config] of Object.entries(result.plugins)) {
    const schema = plugins.schema(name, role);
    if (schema === undefined) continue;
    const after = replaceMarked(config, schema, name, replace);
    if (after !== config)
      result = { ...result, plugins: { ...(result.plugins as JsonObject), [name]: after } };
  }
  return result;
}

function replaceMarked(
  value: unknown,
  schema: Schema,
  prefix: string,
  replace: (text: string, field: string) => string,
): unknown {
  let result = value;
  for (const place of annotations(schema, 'secret')) {
    result = replaceTextAt(result, place, (text) => replace(text, `${prefix}.${place.name}`));
  }
  return result;
}

function ownSchema(kind: Kind, id: string, plugins: PluginSchemas): Schema {
  if (kind === 'plugin_metadata') return plugins.get(id)?.metadata ?? {};
  if (kind === 'secrets') return secretManagers[id.split('/')[0]] ?? {};
  return resources[kind].schema;
}

function ownPrefix(kind: Kind, id: string): string {
  if (kind === 'plugin_metadata') return `${id}.metadata`;
  return kind === 'secrets' ? `secrets.${id.split('/')[0]}` : kind;
}

/** The value with its secrets sealed, for the Store and for answers. */
export function sealValue(resource: Resource, plugins: PluginSchemas, sealing: Sealing): Value {
  const owner = `${resource.kind}/${resource.id}`;
  return replaceSecrets(resource, plugins, (text, field) =>
    isSecretReference(text) || text === '' ? text : sealing.seal(text, field, owner),
  );
}

/** The value with its sealed texts opened, or why one of them can't be. */
export function openValue(
  resource: Pick<Resource, 'kind' | 'id' | 'value'>,
  plugins: PluginSchemas,
  sealing: Sealing,
): { readonly ok: true; readonly value: Value } | ReturnType<typeof refuse> {
  let stuck: string | undefined;
  const value = replaceSecrets(resource, plugins, (text, field) => {
    if (!isSealed(text)) return text;
    const opened = sealing.open(text, field);
    if (opened === undefined) stuck ??= field;
    return opened ?? text;
  });
  if (stuck === undefined) return { ok: true, value };
  return refuse(`the sealed text of ${stuck} can't be opened: it belongs to another field or another key`);
}
