import type { Purge } from '../plugin/cache.ts';
import { type AdminReply, errorReply } from './admin-reply.ts';
import type { ExtensionRequest } from './admin-server.ts';

/** Zones whose entries can be forgotten. */
export interface PurgeableCaches {
  has(zone: string): boolean;
  /** Resolves with how many entries there were. */
  purge(zone: string, what: Purge): Promise<number>;
}

const WAYS = ['resource', 'prefix', 'tag'] as const;

/** Answers `DELETE /apisix/admin/caches/{zone}?resource=…`, or `prefix=…`, `tag=…`; with none of them, all goes. */
export function cacheEndpoint(caches: PurgeableCaches): (request: ExtensionRequest) => Promise<AdminReply> {
  return async ({ method, segments, query }) => {
    if (method !== 'DELETE' || segments.length !== 1) return errorReply(404, 'not found');
    const [zone] = segments;
    if (!caches.has(zone))
      return errorReply(404, `there is no zone ${zone}; zones are caches in the settings`);
    const unknown = [...query.keys()].find((name) => !WAYS.includes(name as Purge['by']));
    if (unknown !== undefined)
      return errorReply(400, `unknown parameter ${unknown}; use resource, prefix or tag`);
    const wanted = WAYS.flatMap((by) => query.getAll(by).map((value): Purge => ({ by, value })));
    if (wanted.some(({ value }) => value === '')) return errorReply(400, 'a parameter without a value');
    if (wanted.length === 0) wanted.push({ by: 'prefix', value: '' });
    const counts = await Promise.all(wanted.map((what) => caches.purge(zone, what)));
    return { status: 200, body: { purged: counts.reduce((sum, count) => sum + count, 0) } };
  };
}
