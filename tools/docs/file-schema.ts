import type { DocumentedResource, JsonSchema, Sources } from './sources.ts';

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
  const upstream = resources.find(({ kind }) => kind === 'upstreams');
  const lists = resources.map((resource) => [resource.kind, listOf(resource)]);
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Sluice configuration',
    ...settings,
    type: 'object',
    properties: { ...objectOf(settings?.properties), ...Object.fromEntries(lists) },
    definitions: {
      meta: META,
      bindings: dictionary(plugins.map(({ name, summary, config }) => [name, withMeta(summary, config)])),
      credential: dictionary(
        plugins.flatMap(({ name, summary, credential }) =>
          credential === undefined ? [] : [[name, withMeta(summary, credential.config)] as const],
        ),
      ),
      // On a Consumer, an auth plugin's config is a credential, but may also be a Binding.
      consumer: dictionary(
        plugins.map(({ name, credential }) => {
          const binding = { $ref: `#/definitions/bindings/properties/${name}` };
          const either = [{ $ref: `#/definitions/credential/properties/${name}` }, binding];
          return [name, credential === undefined ? binding : { anyOf: either }];
        }),
      ),
      ...(upstream !== undefined && { upstream: withoutStoreFields(upstream.schema) }),
    },
  };
}

function listOf({ kind, summary, schema, plugins }: DocumentedResource): JsonSchema {
  const fields = withoutStoreFields(schema);
  const properties = { ...objectOf(fields.properties) };
  if (plugins !== 'none' && 'plugins' in properties)
    properties.plugins = { $ref: `#/definitions/${plugins}` };
  if ('upstream' in properties) properties.upstream = { $ref: '#/definitions/upstream' };
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  if (kind !== 'consumers') required.add('id');
  return { type: 'array', description: summary, items: { ...fields, properties, required: [...required] } };
}

function withoutStoreFields(schema: JsonSchema): JsonSchema {
  const properties = Object.entries(objectOf(schema.properties)).filter(([name]) => !KEPT_BY_STORE.has(name));
  return { ...schema, properties: Object.fromEntries(properties) };
}

/** Configs by plugin name. Names that are not known belong to plugins of the user's own. */
function dictionary(configs: readonly (readonly [plugin: string, config: JsonSchema])[]): JsonSchema {
  return { type: 'object', properties: Object.fromEntries(configs) };
}

function withMeta(summary: string, config: JsonSchema): JsonSchema {
  const properties = { ...objectOf(config.properties), _meta: { $ref: '#/definitions/meta' } };
  return { description: summary, ...config, properties };
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
