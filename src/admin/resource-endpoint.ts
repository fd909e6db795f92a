import type { Configuration } from '../model/configuration.ts';
import { type Failure, KEY_NOT_FOUND, refuse } from '../model/failure.ts';
import type { Answer, Operation } from '../model/operation.ts';
import type { Kind, Resource } from '../model/resource.ts';
import { type AdminReply, errorReply } from './admin-reply.ts';
import { list } from './listing.ts';
import type { Writer } from './writer.ts';

/** Where a request to a resource leads: the kind, whose, which one, and a place inside it. */
export interface ResourcePath {
  readonly kind: Kind;
  /** As Resource has it; undefined for the whole collection. */
  readonly id: string | undefined;
  /** The Consumer of Credentials, or the manager of Secrets. */
  readonly owner: string | undefined;
  /** `desc` in `/routes/1/desc`; empty for the resource itself. */
  readonly subPath: string;
}

/** Understands the path's segments after `/apisix/admin`; `first` must be a kind. */
export function resourcePath(kind: Kind, segments: readonly string[]): ResourcePath {
  const [, id, third, fourth] = segments;
  if (kind === 'consumers' && third === 'credentials') {
    const credential = fourth === undefined ? undefined : `${id}/${fourth}`;
    return { kind: 'credentials', id: credential, owner: id, subPath: segments.slice(4).join('/') };
  }
  if (kind === 'secrets') {
    const secret = third === undefined ? undefined : `${id}/${third}`;
    return { kind, id: secret, owner: id, subPath: segments.slice(3).join('/') };
  }
  return { kind, id, owner: undefined, subPath: segments.slice(2).join('/') };
}

/** A request to a resource, its body parsed. */
export interface ResourceRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
  readonly value: unknown;
  /** Seconds. */
  readonly ttl: number | undefined;
}

/** Does what the method says and gives the recorded answers. */
export async function answerResource(
  configuration: Configuration,
  writer: Writer,
  request: ResourceRequest,
): Promise<AdminReply> {
  const { method, path, query } = request;
  // Only PATCH reaches inside a resource; APISIX would do the rest to the whole of it.
  if (path.subPath !== '' && method !== 'PATCH') return { ...errorReply(404, 'not found'), versioned: true };
  if (method === 'GET') return read(configuration, path, query);
  const operation = operationOf(request);
  return asReply('ok' in operation ? operation : await writer.submit(operation));
}

function read(
  configuration: Configuration,
  { kind, id, owner }: ResourcePath,
  query: URLSearchParams,
): AdminReply {
  if (id === undefined) {
    if (kind === 'credentials' && owner !== undefined && !configuration.snapshot.has('consumers', owner)) {
      return asReply(KEY_NOT_FOUND);
    }
    const within = (resource: Resource) => owner === undefined || resource.id.startsWith(`${owner}/`);
    return list(configuration, kind, query, within);
  }
  const resource = configuration.snapshot.get(kind, id);
  if (resource === undefined) return asReply(KEY_NOT_FOUND);
  return { status: 200, body: configuration.envelope(resource), versioned: true };
}

function operationOf({ method, path, query, value, ttl }: ResourceRequest): Operation | Failure {
  const { kind, owner, subPath } = path;
  const id = path.id ?? idInBody(path, value);
  const lifetime = ttl === undefined ? {} : { ttl };
  switch (method) {
    case 'POST':
      return { type: 'create', kind, id: path.id ?? owner, value, ...lifetime };
    case 'PUT':
      if (kind === 'secrets' && id === undefined) return refuse('missing secret id');
      return { type: 'put', kind, id, value, ...lifetime };
    case 'PATCH':
      if (kind === 'secrets' && path.id === undefined) return refuse('no secret id');
      return subPath === ''
        ? { type: 'patch', kind, id: path.id, value, ...lifetime }
        : { type: 'patch-path', kind, id: path.id, path: subPath, value, ...lifetime };
    default:
      return { type: 'delete', kind, id: path.id, force: query.get('force') === 'true' };
  }
}

/** A Credential's id may stand in the body alone; what it belongs to is always in the path. */
function idInBody({ kind, owner }: ResourcePath, value: unknown): string | undefined {
  if (kind !== 'credentials' || typeof value !== 'object' || value === null) return undefined;
  const { id } = value as { readonly id?: unknown };
  return typeof id === 'string' || typeof id === 'number' ? `${owner}/${id}` : undefined;
}

function asReply({ status, body }: Answer | Failure): AdminReply {
  return { status, body, versioned: true };
}
