import { isObject, type JsonObject } from '../lib/json.ts';
import type { Schema } from '../lib/schema.ts';
import type { Configuration } from '../model/configuration.ts';
import type { ResourceDefinition } from '../model/define-resource.ts';
import { resources } from '../model/resources.ts';
import { explainRequest } from './explain-endpoint.ts';
import { byPriority } from './schema-endpoint.ts';

const reference = (name: string) => ({ $ref: `#/components/${name}` });
const response = (description: string, schema: JsonObject) => ({
  description,
  content: { 'application/json': { schema } },
});
const parameter = (name: string, where: 'path' | 'query', description: string, schema: JsonObject) => ({
  name,
  in: where,
  description,
  required: where === 'path',
  schema,
});
const text = { type: 'string' };
const errors = {
  '400': reference('responses/Invalid'),
  '401': reference('responses/Unauthorized'),
  '404': reference('responses/NotFound'),
  '503': reference('responses/StoreError'),
};

/** The OpenAPI 3.1 document of the Admin API, made from the resources' definitions and the Plugins' schemas. */
export function openApi(configuration: Configuration): JsonObject {
  const paths: JsonObject = {};
  const schemas: JsonObject = { Error: errorSchema() };
  for (const definition of Object.values(resources)) {
    schemas[schemaName(definition)] = published(definition.schema);
    Object.assign(paths, resourcePaths(definition));
  }
  for (const { name, metadata } of byPriority(configuration)) {
    schemas[`plugin.${name}`] = published(configuration.plugins.schema(name, 'bindings')!);
    const credential = configuration.plugins.isCredential(name, 'consumer');
    if (credential)
      schemas[`credential.${name}`] = published(configuration.plugins.schema(name, 'consumer')!);
    if (metadata !== undefined) schemas[`metadata.${name}`] = published(metadata);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Sluice Admin API', version: 'v3', license: { name: 'Apache-2.0' } },
    security: [{ key: [] }],
    paths: { ...paths, ...otherPaths() },
    components: {
      securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'X-API-KEY' } },
      schemas,
      responses: {
        Invalid: response('The request or the configuration in it is wrong.', reference('schemas/Error')),
        Unauthorized: response('The key is missing, wrong or may not do this.', reference('schemas/Error')),
        NotFound: response('There is no such resource.', reference('schemas/Error')),
        StoreError: response(
          'The Store did not keep the write; nothing has changed.',
          reference('schemas/Error'),
        ),
      },
    },
  };
}

function errorSchema(): JsonObject {
  const properties = { error_msg: text, message: text, description: text, req_body: text };
  return { type: 'object', properties };
}

/** `PluginConfig` for `plugin config`. */
function schemaName({ noun }: ResourceDefinition): string {
  return noun.replace(/(?:^|[ _])(.)/g, (_, letter: string) => letter.toUpperCase());
}

function resourcePaths(definition: ResourceDefinition): JsonObject {
  const { kind, noun, summary, unsupported } = definition;
  const schema = reference(`schemas/${schemaName(definition)}`);
  const owner = kind === 'credentials' ? '/consumers/{username}' : '';
  const manager = kind === 'secrets' ? '/{manager}' : '';
  const outer = [
    ...(owner === '' ? [] : [parameter('username', 'path', 'The Consumer.', text)]),
    ...(manager === ''
      ? []
      : [parameter('manager', 'path', 'The secret manager.', { enum: ['vault', 'aws', 'gcp'] })]),
  ];
  const collection = `/apisix/admin${owner}/${kind}`;
  const item = `${collection}${manager}/{id}`;
  const id = parameter('id', 'path', `The id of the ${noun}.`, text);
  const ttl = parameter('ttl', 'query', 'Seconds after which it disappears.', {
    type: 'number',
    exclusiveMinimum: 0,
  });
  const value = { type: 'object', properties: { key: text, value: schema } };
  const body = { required: true, content: { 'application/json': { schema } } };
  const written = { '200': response('Replaced.', value), '201': response('Created.', value), ...errors };
  const tags = [kind];
  return {
    [collection]: {
      ...(owner !== '' && { parameters: outer }),
      get: {
        tags,
        operationId: `list_${kind}`,
        summary: `Lists: ${summary}`,
        parameters: listParameters(),
        responses: { '200': response('The list.', listSchema(schema)), ...errors },
      },
      ...(!unsupported.includes('POST') && {
        post: {
          tags,
          operationId: `create_${kind}`,
          summary: `Creates a ${noun} with a new id.`,
          parameters: [ttl],
          requestBody: body,
          responses: written,
        },
      }),
    },
    [item]: {
      parameters: [...outer, id],
      get: {
        tags,
        operationId: `get_${kind}`,
        summary: `Reads a ${noun}.`,
        responses: { '200': response('The resource.', value), ...errors },
      },
      put: {
        tags,
        operationId: `put_${kind}`,
        summary: `Creates or replaces a ${noun}.`,
        parameters: [ttl],
        requestBody: body,
        responses: written,
      },
      ...(!unsupported.includes('PATCH') && {
        patch: {
          tags,
          operationId: `patch_${kind}`,
          summary: `Merges into a ${noun}; null deletes a member, arrays are replaced whole.`,
          parameters: [ttl],
          requestBody: { required: true, content: { 'application/json': { schema: { type: 'object' } } } },
          responses: { '200': response('Changed.', value), ...errors },
        },
      }),
      delete: {
        tags,
        operationId: `delete_${kind}`,
        summary: `Deletes a ${noun}.`,
        parameters: [parameter('force', 'query', 'Also when something uses it.', { type: 'boolean' })],
        responses: {
          '200': response('Deleted.', { type: 'object', properties: { deleted: { const: '1' }, key: text } }),
          ...errors,
        },
      },
    },
  };
}

function listParameters(): readonly JsonObject[] {
  return [
    parameter('page', 'query', 'From 1; only together with page_size.', { type: 'integer', minimum: 1 }),
    parameter('page_size', 'query', 'Resources on a page.', { type: 'integer', minimum: 10, maximum: 500 }),
    parameter('name', 'query', 'A pattern found in the name.', text),
    parameter('label', 'query', 'A label that is there.', text),
    parameter('uri', 'query', 'A pattern found in uri or uris.', text),
  ];
}

function listSchema(schema: JsonObject): JsonObject {
  const index = { type: 'integer' };
  const properties = { key: text, value: schema, createdIndex: index, modifiedIndex: index };
  const list = { type: 'array', items: { type: 'object', properties } };
  return { type: 'object', properties: { total: { type: 'integer' }, list } };
}

function otherPaths(): JsonObject {
  const anything = { type: 'object' };
  const get = (
    operationId: string,
    summary: string,
    schema: JsonObject,
    parameters: readonly JsonObject[] = [],
  ) => ({
    get: {
      operationId,
      summary,
      parameters,
      responses: { '200': response('The answer.', schema), ...errors },
    },
  });
  const post = (operationId: string, summary: string, parameters: readonly JsonObject[] = []) => ({
    post: {
      operationId,
      summary,
      parameters,
      requestBody: { required: true, content: { 'application/json': { schema: anything } } },
      responses: { '200': { description: 'Valid.' }, ...errors },
    },
  });
  const name = (description: string) => parameter('name', 'path', description, text);
  return {
    '/apisix/admin/plugins/list': get('list_plugins', 'The Plugins, in the order in which they run.', {
      type: 'array',
      items: text,
    }),
    '/apisix/admin/plugins/{name}': get('plugin_schema', "The schema of a Plugin's config.", anything, [
      name('The Plugin.'),
      parameter('schema_type', 'query', 'The schema of another place.', { enum: ['consumer', 'metadata'] }),
    ]),
    '/apisix/admin/plugins/reload': {
      put: {
        operationId: 'reload_plugins',
        summary: 'Loads user-written Plugins again.',
        responses: { '200': { description: 'Done.' }, ...errors },
      },
    },
    '/apisix/admin/schema/{name}': get('resource_schema', 'The schema of a kind of resource.', anything, [
      name('For example route.'),
    ]),
    '/apisix/admin/schema/validate/{name}': post(
      'validate_resource',
      'Checks a value against the schema of a kind.',
      [name('For example routes.')],
    ),
    '/apisix/admin/configs/validate': post(
      'validate_configuration',
      'Checks a whole configuration, as JSON or YAML.',
    ),
    '/apisix/admin/routes/{id}/effective': get(
      'effective_bindings',
      'The Bindings that hold on a Route, in the order in which they run, each with the place it came from.',
      anything,
      [
        parameter('id', 'path', 'The Route.', text),
        parameter('consumer', 'query', 'As met by this Consumer.', text),
      ],
    ),
    '/apisix/admin/explain': {
      post: {
        operationId: 'explain',
        summary: 'Says what would become of a request, by the configuration and the counters of this moment.',
        requestBody: {
          required: true,
          content: { 'application/json': { schema: published(explainRequest) } },
        },
        responses: { '200': response('The explanation.', anything), ...errors },
      },
    },
    '/apisix/admin/caches/{zone}': {
      delete: {
        operationId: 'purge_cache',
        summary: 'Forgets stored responses on all workers; all of the zone where nothing is named.',
        parameters: [
          parameter('zone', 'path', 'A zone: one of `caches` in the settings.', text),
          parameter('resource', 'query', 'Host with port, path and query.', text),
          parameter('prefix', 'query', 'What resources begin with.', text),
          parameter('tag', 'query', 'A word of Surrogate-Key or Cache-Tag.', text),
        ],
        responses: { '200': response('How many there were.', anything), ...errors },
      },
    },
    '/apisix/admin/healthcheck': get(
      'health',
      "The health of all Targets that are checked, as APISIX's control API has it, and how circuit breakers stand.",
      { type: 'array', items: anything },
    ),
    '/apisix/admin/healthcheck/{kind}/{id}': get(
      'health_of',
      'The health of the Targets of one Upstream.',
      anything,
      [
        parameter(
          'kind',
          'path',
          'Where the Upstream is: routes, services, upstreams or stream_routes.',
          text,
        ),
        parameter('id', 'path', 'The resource that holds it, or the Upstream itself.', text),
      ],
    ),
    '/apisix/admin/data_planes': get(
      'list_data_planes',
      'The data planes that follow this process, where it is a control plane.',
      anything,
    ),
    '/apisix/admin/data_planes/{id}': get(
      'get_data_plane',
      'One data plane: its status, revision and lag.',
      anything,
      [parameter('id', 'path', 'The id that the list shows.', text)],
    ),
    '/apisix/admin/openapi.json': get('openapi', 'This document.', anything),
  };
}

/** A schema as others may read it: keywords of our own get the prefix that JSON Schema leaves to them. */
function published(schema: Schema): JsonObject {
  return rename(schema, false) as JsonObject;
}

function rename(value: unknown, namesAreData: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => rename(item, false));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, child]) => {
      if (namesAreData) return [name, rename(child, false)];
      if (name === 'default' || name === 'enum' || name === 'const' || name === 'examples')
        return [name, child];
      const own = name === 'secret' || name === 'references';
      return [
        own ? `x-${name}` : name,
        rename(child, name === 'properties' || name === 'patternProperties' || name === 'dependencies'),
      ];
    }),
  );
}
