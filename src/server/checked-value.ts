import { isObject } from '../lib/json.ts';
import type { Kind, Value } from '../model/resource.ts';

const HOLDERS: readonly Kind[] = ['routes', 'services', 'upstreams', 'stream_routes'];

/** The Upstream that a resource is or holds, where there is something to look after. */
export function checkedValue(kind: Kind, value: Value): Value | undefined {
  if (!HOLDERS.includes(kind)) return undefined;
  const upstream = kind === 'upstreams' ? value : value.upstream;
  if (!isObject(upstream)) return undefined;
  const { checks, slow_start: slowStart, circuit_breaker: breaker } = upstream;
  return (checks ?? slowStart ?? breaker) === undefined ? undefined : upstream;
}
