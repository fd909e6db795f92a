import { isObject } from '../lib/json.ts';
import { annotations, visitAt } from '../lib/schema-annotations.ts';
import type { PluginSchemas } from './plugin-schema.ts';
import type { Kind, Value } from './resource.ts';
import { resources } from './resources.ts';

/** That one resource names another: in a field of its own, or in the config of one of its Plugins. */
export interface Reference {
  readonly kind: Kind;
  readonly id: string;
  readonly inPlugin: boolean;
  readonly path: readonly (string | number)[];
}

/** All that a resource refers to, as its schema and the schemas of its Plugins mark it. */
export function referencesOf(kind: Kind, value: Value, plugins: PluginSchemas): readonly Reference[] {
  const found: Reference[] = [];
  const { schema, plugins: role } = resources[kind];
  for (const place of annotations(schema, 'references')) {
    visitAt(value, place, (id, path) => {
      found.push({ kind: place.mark as Kind, id: String(id), inPlugin: false, path });
    });
  }
  if (role === 'none' || !isObject(value.plugins)) return found;
  for (const [name, config] of Object.entries(value.plugins)) {
    const pluginSchema = plugins.schema(name, role);
    if (pluginSchema === undefined) continue;
    for (const place of annotations(pluginSchema, 'references')) {
      visitAt(config, place, (id, path) => {
        const reference = { kind: place.mark as Kind, id: String(id), inPlugin: true };
        found.push({ ...reference, path: ['plugins', name, ...path] });
      });
    }
  }
  return found;
}
