import type { FieldList } from '../../lib/http-caching/field-list.ts';

/** What a request that changed something makes doubtful: what it named, and what its response names on the same host (RFC 9111 4.4). */
export function invalidated(resource: string, response: FieldList): Set<string> {
  const resources = new Set([resource]);
  for (const name of ['location', 'content-location']) {
    const value = response.header(name);
    const other = value === undefined ? undefined : resolve(resource, value);
    if (other !== undefined) resources.add(other);
  }
  return resources;
}

/** Whether a response says that it is what a GET of the same resource would get (RFC 9110 8.7). */
export function sameResource(resource: string, response: FieldList): boolean {
  const value = response.header('content-location');
  return value !== undefined && resolve(resource, value) === resource;
}

/** A reference as the resource it means; undefined when that is another host's. A resource is `host/path?query`. */
function resolve(resource: string, reference: string): string | undefined {
  const host = resource.slice(0, resource.indexOf('/'));
  const target = URL.parse(reference, `http://${resource}`);
  if (target === null || target.host !== URL.parse(`${target.protocol}//${host}`)?.host) return undefined;
  return `${host}${target.pathname}${target.search}`;
}
