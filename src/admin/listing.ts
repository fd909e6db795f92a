import { RE2JS } from 're2js';
import { isObject } from '../lib/json.ts';
import type { Configuration } from '../model/configuration.ts';
import type { Kind, Resource, Value } from '../model/resource.ts';
import type { AdminReply } from './admin-reply.ts';

/** Answers a list: filtered, counted, cut to the page that was asked for; in order of creation. */
export function list(
  configuration: Configuration,
  kind: Kind,
  query: URLSearchParams,
  within: (resource: Resource) => boolean = () => true,
): AdminReply {
  const matches = filters(kind, query);
  const found: Resource[] = [];
  for (const resource of configuration.snapshot.list(kind)) {
    if (within(resource) && matches.every((matches) => matches(resource.value))) found.push(resource);
  }
  const page = Number(query.get('page') ?? Number.NaN);
  const pageSize = Number(query.get('page_size') ?? Number.NaN);
  let shown = found;
  if (!Number.isNaN(page) && !Number.isNaN(pageSize)) {
    if (pageSize < 10 || pageSize > 500) {
      return { status: 400, body: 'page_size must be between 10 and 500', versioned: true };
    }
    const first = (Math.max(Math.floor(page), 1) - 1) * Math.floor(pageSize);
    shown = found.slice(first, first + Math.floor(pageSize));
  }
  const body = { list: shown.map((resource) => configuration.envelope(resource)), total: found.length };
  return { status: 200, body, versioned: true };
}

type Filter = (value: Value) => boolean;

function filters(kind: Kind, query: URLSearchParams): Filter[] {
  const made: Filter[] = [];
  const name = query.get('name');
  if (name !== null) {
    const find = finder(name);
    made.push((value) => typeof value.name === 'string' && find(value.name));
  }
  const uri = query.get('uri');
  if (uri !== null) {
    const find = finder(uri);
    made.push(({ uri, uris }) =>
      [uri, ...(Array.isArray(uris) ? uris : [])].some((one) => typeof one === 'string' && find(one)),
    );
  }
  const label = query.get('label');
  if (label !== null) made.push(({ labels }) => isObject(labels) && Object.hasOwn(labels, label));
  const filter = query.get('filter');
  if (filter !== null && (kind === 'routes' || kind === 'stream_routes')) {
    const wanted = new URLSearchParams(filter);
    for (const field of ['service_id', 'upstream_id']) {
      const id = wanted.get(field);
      if (id !== null) made.push((value) => value[field] !== undefined && String(value[field]) === id);
    }
  }
  return made;
}

/** Finds a pattern anywhere in a text, in linear time whatever the pattern. A wrong pattern finds nothing. */
function finder(pattern: string): (text: string) => boolean {
  try {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.matcher(text).find();
  } catch {
    return () => false;
  }
}
