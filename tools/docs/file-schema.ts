import type { DocumentedPlugin, DocumentedResource, JsonSchema, Sources } from './sources.ts';

/** What the Store sets, and a file has no business with. */
const KEPT_BY_STORE = new Set(['create_time', 'update_time']);

const META: JsonSchema = {
  type: 'object',
  description: 'How this use of the plugin differs from others.',
  properties: {
    disable: { type: 'boolean', description: 'Leaves the plugin out.' },
    priority: { type: 'integer', description: "Runs at this place instead of the plugin's own." },
    filter: { type: 'array', description: 'An expression; the plugin runs where it is true.' },
    error_response: {
      type: ['string', 'object'],
      description: "Replaces the body of the plugin's refusals.",
    },
  },
};

/** The JSON Schema of the declarative file, for editors; draft 7, which all of them know. */
export function fileSchema({ plugins, resources, settings }: Sources): JsonSchema {
  const lists = resources.map((resource) => [resource.kind, listOf(resource)]);
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Sluice configuration',
    ...settings,
    type: 'object',
    properties: { ...objectOf(settings?.properties), ...Object.fromEntries(lists) },
    definitions: {
      meta: META,
      ...dictionaries('bindings', plugins, ({ config }) => [config]),
      ...dictionaries('consumer', plugins, ({ config, credential }) =>
        credential === undefined ? [config] : [credential.config, config],
      ),
      ...dictionaries('credential', plugins, ({ credential }) =>
        credential === undefined ? [] : [credential.config],
      ),
    },
  };
}

function listOf({ kind, summary, schema, plugins }: DocumentedResource): JsonSchema {
  const properties = Object.fromEntries(
    Object.entries(objectOf(schema.properties))
      .filter(([name]) => !KEPT_BY_STORE.has(name))
      .map(([name, property]) => {
        const isBindings = name === 'plugins' && plugins !== 'none';
        return [name, isBindings ? { $ref: `#/definitions/${plugins}` } : property];
      }),
  );
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  if (kind !== 'consumers') required.add('id');
  return { type: 'array', description: summary, items: { ...schema, properties, required: [...required] } };
}

/** A definition of configs by plugin name. Names that are not known belong to plugins of the user's own. */
function dictionaries(
  name: string,
  plugins: readonly DocumentedPlugin[],
  configsOf: (plugin: DocumentedPlugin) => JsonSchema[],
): Record<string, JsonSchema> {
  const entries = plugins
    .map((plugin) => {
      const configs = configsOf(plugin).map(withMeta);
      const config = configs.length === 1 ? configs[0] : { anyOf: configs };
      return [plugin.name, { description: plugin.summary, ...config }, configs.length] as const;
    })
    .filter(([, , count]) => count > 0)
    .map(([plugin, config]) => [plugin, config]);
  return { [name]: { type: 'object', properties: Object.fromEntries(entries) } };
}

function withMeta(config: JsonSchema): JsonSchema {
  return { ...config, properties: { ...objectOf(config.properties), _meta: { $ref: '#/definitions/meta' } } };
}

function objectOf(value: unknown): JsonSchema {
  return typeof value === 'object' && value !== null ? (value as JsonSchema) : {};
}
