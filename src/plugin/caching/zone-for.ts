import type { Cache } from '../cache.ts';
import type { Kit } from '../kit.ts';

/**
 * The zone that a Binding stores in; undefined where it can't store at all, and then the log says
 * why: requests go to the Upstream as if there were no cache.
 */
export function zoneFor(plugin: string, name: string, kit: Kit): Cache | undefined {
  if (kit.place.kind === 'global_rules') {
    // It would answer before anybody knows who asks.
    kit.log.error(
      `${plugin} does nothing in a global rule: its answers would come before authentication; put it on Services or Routes`,
    );
    return undefined;
  }
  const cache = kit.cache(name);
  if (cache === undefined) {
    kit.log.error(`${plugin} does nothing: there is no zone ${name}; add it to caches in the settings`, {
      place: `${kit.place.kind}/${kit.place.id}`,
    });
  }
  return cache;
}
