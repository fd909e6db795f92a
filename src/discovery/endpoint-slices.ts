import { isObject, type JsonObject } from '../lib/json.ts';
import type { DiscoveredTarget } from '../model/discovery.ts';

/**
 * The ready Targets of a service's EndpointSlices (discovery.k8s.io/v1) at the port of that name, or
 * of that number where it has no name. An endpoint that says nothing of being ready is ready.
 */
export function readySlices(
  slices: Iterable<JsonObject>,
  port: string,
  weight: number,
): readonly DiscoveredTarget[] {
  const found = new Map<string, DiscoveredTarget>();
  for (const { endpoints, ports } of slices) {
    const numbers = listOf(ports)
      .filter(({ name, port: number }) => (name ? name === port : String(number) === port))
      .map((one) => one.port)
      .filter((number) => typeof number === 'number');
    for (const { addresses, conditions } of listOf(endpoints)) {
      if (isObject(conditions) && conditions.ready === false) continue;
      if (!Array.isArray(addresses)) continue;
      // While it moves from one slice to another, an endpoint may be in both.
      for (const host of addresses)
        for (const number of numbers)
          if (typeof host === 'string')
            found.set(`${host} ${number}`, { host, port: number, weight, priority: 0 });
    }
  }
  return [...found.values()];
}

function listOf(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
