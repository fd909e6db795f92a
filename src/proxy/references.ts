import type { Kind, Value } from '../model/resource.ts';

const FIELDS: readonly (readonly [field: string, kind: Kind])[] = [
  ['service_id', 'services'],
  ['upstream_id', 'upstreams'],
  ['plugin_config_id', 'plugin_configs'],
];

/** Which Routes refer to what, so that a Change finds them without looking at all. */
export class References {
  readonly #routes = new Map<string, Set<string>>();
  readonly #held = new Map<string, string[]>();

  note(routeId: string, value: Value): void {
    this.forget(routeId);
    const keys: string[] = [];
    for (const [field, kind] of FIELDS) if (value[field] !== undefined) keys.push(`${kind}/${value[field]}`);
    // A Plugin that chooses an Upstream names it in its config.
    for (const id of upstreamIds(value.plugins)) keys.push(`upstreams/${id}`);
    for (const key of keys) {
      let routes = this.#routes.get(key);
      if (routes === undefined) this.#routes.set(key, (routes = new Set()));
      routes.add(routeId);
    }
    if (keys.length > 0) this.#held.set(routeId, keys);
  }

  forget(routeId: string): void {
    for (const key of this.#held.get(routeId) ?? []) {
      const routes = this.#routes.get(key);
      routes?.delete(routeId);
      if (routes?.size === 0) this.#routes.delete(key);
    }
    this.#held.delete(routeId);
  }

  routesOf(kind: Kind, id: string): string[] {
    return [...(this.#routes.get(`${kind}/${id}`) ?? [])];
  }
}

/** Every `upstream_id` anywhere in a plugins object. */
function* upstreamIds(value: unknown): Iterable<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'upstream_id' && (typeof inner === 'string' || typeof inner === 'number'))
      yield String(inner);
    else if (typeof inner === 'object') yield* upstreamIds(inner);
  }
}
