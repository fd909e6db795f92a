import { validate } from '../lib/json-schema.ts';
import type { Configuration } from '../model/configuration.ts';
import type { Kind } from '../model/resource.ts';
import { resources } from '../model/resources.ts';
import { type AdminReply, errorReply } from './admin-reply.ts';

/** `GET /plugins/list`: the names, in the order in which they run. */
export function pluginList(configuration: Configuration, query: URLSearchParams): AdminReply {
  const subsystem = query.get('subsystem') ?? 'http';
  if (subsystem !== 'http' && subsystem !== 'stream') return errorReply(400, 'invalid subsystem passed');
  const plugins = byPriority(configuration).filter(({ streams }) => subsystem === 'http' || streams === true);
  return { status: 200, body: plugins.map(({ name }) => name) };
}

/** `GET /plugins/{name}` and `GET /schema/plugins/{name}`: the schema of its config, or of another place with `schema_type`. */
export function pluginSchema(
  configuration: Configuration,
  name: string | undefined,
  query: URLSearchParams,
): AdminReply {
  const subsystem = query.get('subsystem') ?? 'http';
  if (subsystem !== 'http' && subsystem !== 'stream') {
    return { ...errorReply(400, `unsupported subsystem: ${subsystem}`), versioned: true };
  }
  if (query.get('all') === 'true') return { status: 200, body: allPlugins(configuration), versioned: true };
  const plugin = name === undefined ? undefined : configuration.plugins.get(name);
  if (plugin === undefined || (subsystem === 'stream' && plugin.streams !== true)) {
    return { ...errorReply(404, `plugin not found in subsystem ${subsystem}`), versioned: true };
  }
  const type = query.get('schema_type');
  const schema =
    type === 'consumer'
      ? plugin.credential && configuration.plugins.schema(plugin.name, 'consumer')
      : type === 'metadata'
        ? plugin.metadata
        : configuration.plugins.schema(plugin.name, 'bindings');
  return schema === undefined
    ? { ...errorReply(400, 'not found schema'), versioned: true }
    : { status: 200, body: schema, versioned: true };
}

function allPlugins({ plugins }: Configuration): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    plugins.all().map(({ name, priority, metadata, credential }) => [
      name,
      {
        priority,
        version: 0.1,
        schema: plugins.schema(name, 'bindings'),
        ...(credential && { type: 'auth', consumer_schema: plugins.schema(name, 'consumer') }),
        ...(metadata && { metadata_schema: metadata }),
      },
    ]),
  );
}

/** `GET /schema/{route|…}`. */
export function resourceSchema(name: string | undefined): AdminReply {
  const definition = Object.values(resources).find(({ label }) => label === name);
  return definition === undefined
    ? { ...errorReply(400, `not found schema: ${name ?? ''}`), versioned: true }
    : { status: 200, body: definition.schema, versioned: true };
}

/** `POST /schema/validate/{routes|…}`: the schema alone. */
export function validateSchema(kind: Kind, value: unknown): AdminReply {
  const wrong = validate(resources[kind].schema, value);
  return wrong === undefined ? { status: 200 } : errorReply(400, wrong.message);
}

export function byPriority({ plugins }: Configuration) {
  return plugins.all().toSorted((left, right) => right.priority - left.priority);
}
