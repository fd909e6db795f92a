import { isObject, type JsonObject } from '../lib/json.ts';
import { type ConsulSettings, consulSettings, type DiscoveredTarget } from '../model/discovery.ts';
import {
  type Discovery,
  type DiscoveryListener,
  type DiscoverySurroundings,
  defineDiscovery,
} from './discovery.ts';
import { httpGet, jsonOf } from './http-get.ts';
import { keepAsking, type Next } from './keep-asking.ts';

export const consul = defineDiscovery({
  name: 'consul',
  summary: 'Follows the passing instances of services in Consul.',
  config: consulSettings,
  create: (config, surroundings) => new Consul(config, surroundings),
});

/** Each server is asked for every service, and what they know is put together, as in APISIX. */
class Consul implements Discovery {
  readonly #config: ConsulSettings;
  readonly #surroundings: DiscoverySurroundings;

  constructor(config: ConsulSettings, surroundings: DiscoverySurroundings) {
    this.#config = config;
    this.#surroundings = surroundings;
  }

  watch(service: string, listener: DiscoveryListener): () => void {
    const { servers, default_service: fallback } = this.#config;
    const known = new Map<string, readonly DiscoveredTarget[]>();
    const problems = new Map<string, string>();
    const stops = servers.map((server) =>
      keepAsking(
        this.#rounds(server, service, (targets) => {
          known.set(server, targets);
          const all = [...known.values()].flat();
          // One that hasn't answered yet may know it.
          if (all.length > 0 || fallback === undefined) listener.onTargets(all);
          else if (known.size === servers.length)
            listener.onTargets([
              {
                host: fallback.host,
                port: fallback.port,
                weight: fallback.metadata?.weight ?? 1,
                priority: 0,
              },
            ]);
        }),
        {
          onTrouble(problem) {
            if (problem === undefined) problems.delete(server);
            else problems.set(server, problem);
            listener.onTrouble([...problems.values()][0]);
          },
        },
        this.#surroundings,
      ),
    );
    return () => {
      for (const stop of stops) stop();
    };
  }

  /**
   * Blocking queries (developer.hashicorp.com/consul/api-docs/features/blocking): an answer is held
   * back until the index moves on or the time is over. An index that falls back begins anew.
   */
  #rounds(server: string, service: string, onTargets: DiscoveryListener['onTargets']) {
    const { token, timeout, keepalive, fetch_interval: interval, weight } = this.#config;
    let index = 0;
    let last = '';
    return async (signal: AbortSignal): Promise<Next> => {
      const known = index;
      // After a failure everything is asked for anew, so that the end of an outage is seen at once.
      index = 0;
      const url = new URL(`/v1/health/service/${encodeURIComponent(service)}`, server);
      url.searchParams.set('passing', 'true');
      if (keepalive && known > 0) {
        url.searchParams.set('index', String(known));
        url.searchParams.set('wait', `${timeout.wait}s`);
      }
      const message = await httpGet(url, {
        headers: token === '' ? {} : { 'X-Consul-Token': token },
        connectMs: timeout.connect,
        // Consul adds up to a sixteenth to the time, by chance.
        headMs: timeout.read + (known > 0 ? timeout.wait * 1000 * (1 + 1 / 16) : 0),
        signal,
      });
      if (message.statusCode !== 200) {
        message.destroy();
        const hint = message.statusCode === 403 ? '; check discovery.consul.token' : '';
        throw new Error(`${url.origin} answered ${message.statusCode}${hint}`);
      }
      const found = targetsIn(await jsonOf(message, timeout.read), weight);
      if (signal.aborted) return 'no news';
      onTargets(found);
      if (!keepalive) return interval * 1000;
      const next = Number(message.headers['x-consul-index']);
      // Without a usable index, an answer could not be waited for.
      if (!Number.isSafeInteger(next) || next < 1) return interval * 1000;
      index = next < known ? 0 : next;
      // The index of a service without instances moves with everybody else's.
      const text = JSON.stringify(found);
      const same = text === last;
      last = text;
      return same ? 'no news' : 'news';
    };
  }
}

function targetsIn(answer: unknown, factor: number): DiscoveredTarget[] {
  if (!Array.isArray(answer)) throw new Error('Consul answered something that is no list of instances');
  return answer.filter(isObject).flatMap((entry) => {
    const service = (isObject(entry.Service) ? entry.Service : {}) as JsonObject;
    const node = (isObject(entry.Node) ? entry.Node : {}) as JsonObject;
    const weights = (isObject(service.Weights) ? service.Weights : {}) as JsonObject;
    const host = service.Address || node.Address;
    const port = service.Port;
    if (typeof host !== 'string' || !isPort(port)) return [];
    const own = weights.Passing;
    const weight = typeof own === 'number' && Number.isInteger(own) && own >= 0 ? own * factor : factor;
    return [{ host, port, weight, priority: 0 }];
  });
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536;
}
