import { isObject } from '../lib/json.ts';
import { validate, withDefaults } from '../lib/json-schema.ts';
import type { Schema } from '../lib/schema.ts';
import type { CheckContext } from './define-resource.ts';
import { type Failure, refuse } from './failure.ts';
import type { PluginSchemas } from './plugin-schema.ts';
import { type Reference, referencesOf } from './references.ts';
import type { Kind, Resource, Value } from './resource.ts';
import { resources } from './resources.ts';
import { secretManagers } from './secret.ts';

/** What a resource is checked against. */
export interface CheckEnvironment extends CheckContext {
  readonly plugins: PluginSchemas;
  /** Looks up what a reference names; absent where references are not to be checked. */
  lookup?(kind: Kind, id: string): Resource | undefined;
}

/** Why a value can't be the resource of that kind and id, or undefined. Checks in APISIX's order. */
export function checkResource(
  kind: Kind,
  id: string,
  value: Value,
  environment: CheckEnvironment,
): Failure | undefined {
  const { schema, plugins: role, precheck, check } = resources[kind];
  const early = precheck?.(value);
  if (early !== undefined) return refuse(early);
  const own = schemaOf(kind, id, schema, environment.plugins);
  if (typeof own === 'string') return refuse(own);
  const invalid = validate(own, value);
  if (invalid !== undefined)
    return { ...refuse(`invalid configuration: ${invalid.message}`, invalid.path), hint: invalid.hint };
  const wrong = check?.(withDefaults(schema, value), environment);
  if (wrong !== undefined) return refuse(wrong);

  const references = environment.lookup === undefined ? [] : referencesOf(kind, value, environment.plugins);
  const failed = checkReferences(references, false, environment);
  if (failed !== undefined) return failed;
  if (role !== 'none' && isObject(value.plugins)) {
    const wrongPlugin = environment.plugins.check(value.plugins, role, environment);
    if (wrongPlugin !== undefined) return wrongPlugin;
  }
  return checkReferences(references, true, environment);
}

/** The schema of one resource, or an error text: for Secrets and plugin metadata it depends on the id. */
function schemaOf(kind: Kind, id: string, schema: Schema, plugins: PluginSchemas): Schema | string {
  if (kind === 'secrets') {
    const manager = id.split('/')[0];
    return Object.hasOwn(secretManagers, manager)
      ? secretManagers[manager]
      : `invalid secret manager: ${manager}`;
  }
  if (kind !== 'plugin_metadata') return schema;
  const plugin = plugins.get(id);
  return plugin === undefined ? 'invalid plugin name' : (plugin.metadata ?? schema);
}

function checkReferences(
  references: readonly Reference[],
  inPlugin: boolean,
  { lookup }: CheckEnvironment,
): Failure | undefined {
  for (const reference of references) {
    if (reference.inPlugin !== inPlugin) continue;
    const { noun } = resources[reference.kind];
    const text = `failed to fetch ${noun} info by ${noun} id [${reference.id}]`;
    const target = lookup?.(reference.kind, reference.id);
    if (target === undefined) return refuse(`${text}, response code: 404`, reference.path);
    if (reference.kind === 'ssls' && target.value.type !== 'client') {
      return refuse(`${text}, wrong ssl type`, reference.path);
    }
  }
  return undefined;
}
