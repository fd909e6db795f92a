import type { Freshness } from '../../lib/http-caching/freshness.ts';
import { type Static, Type } from '../../lib/schema.ts';
import { addressList, addressListProblem } from '../../plugin/address-schema.ts';
import type { CachingRules } from '../../plugin/caching/caching-rules.ts';
import { Purging } from '../../plugin/caching/purging.ts';
import { ResponseCaching } from '../../plugin/caching/response-caching.ts';
import { zoneFor } from '../../plugin/caching/zone-for.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import type { AccessExchange } from '../../plugin/exchange.ts';
import { reply } from '../../plugin/reply.ts';
import { cacheStatusField } from './cache-status-field.ts';

/** Statuses that say that there is nothing, and that may be stored by default (RFC 9110 15.1). */
const NEGATIVE = new Set([404, 405, 410, 414, 501]);
const POSITIVE = new Set([200, 203, 204, 300, 301, 308]);
const METHODS = new Set(['GET', 'HEAD']);
/** Meant for this gateway alone, so that nobody else sees it. */
const OWN_FIELD = 'Sluice-Cache-Control';

const seconds = (byDefault: number, description: string) =>
  Type.Number({ minimum: 0, maximum: 31_536_000, default: byDefault, description });

const schema = Type.Object({
  zone: Type.String({
    minLength: 1,
    maxLength: 100,
    default: 'memory_cache',
    description: 'The zone in which responses are kept; one of `caches` in the settings.',
  }),
  max_object_bytes: Type.Integer({
    minimum: 1,
    default: 1_048_576,
    description: 'Bytes of the largest body that is stored. A zone holds none that fills a quarter of it.',
  }),
  default_ttl: seconds(
    0,
    'Seconds for which 200, 203, 204, 300, 301 and 308 are fresh when the Upstream gives no hint.',
  ),
  negative_ttl: seconds(
    0,
    'Seconds for which 404, 405, 410, 414 and 501 are fresh when the Upstream gives no hint.',
  ),
  heuristic_fraction: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 0.1,
    description:
      'Part of the time since Last-Modified for which a response is fresh when nothing else says so; 0 for none.',
  }),
  heuristic_max: seconds(86_400, 'Seconds that such a response is fresh at most.'),
  stale_if_error: seconds(
    60,
    'Seconds for which a response that is too old may stand in for an Upstream that fails, where it does not say so itself and does not forbid it.',
  ),
  collapse_timeout: seconds(
    5,
    'Seconds that a request waits for the answer to another one for the same thing; 0 for not at all.',
  ),
  request_directives: Type.Boolean({
    default: true,
    description:
      "Heed `Cache-Control` in requests. Without, clients can't make the gateway ask the Upstream.",
  }),
  consumer_isolation: Type.Boolean({
    default: true,
    description: 'Keep answers to a Consumer for that Consumer alone, unless the Upstream says `public`.',
  }),
  strip_set_cookie: Type.Boolean({
    default: false,
    description:
      'Store responses with Set-Cookie, without that field, even if they are not `public`. Without, they are not stored.',
  }),
  targeted_fields: Type.Array(Type.String({ minLength: 1, pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" }), {
    default: [OWN_FIELD, 'CDN-Cache-Control'],
    description: 'Fields that count instead of Cache-Control (RFC 9213), the most specific first.',
  }),
  cache_status: Type.Boolean({
    default: true,
    description: 'Tell clients in `Cache-Status` (RFC 9211) what the cache did.',
  }),
  purge_from: Type.Optional(
    addressList('Addresses that may PURGE; 127.0.0.0/8 and ::1 unless given. Nobody with `255.255.255.255`.'),
  ),
});

export const httpCache = definePlugin({
  name: 'http-cache',
  summary: 'Stores responses and answers with them, as HTTP says (RFC 9111).',
  priority: 1086,
  config: schema,
  check: ({ purge_from: from }) => addressListProblem(from),
  create(config, kit) {
    const cache = zoneFor('http-cache', config.zone, kit);
    if (cache === undefined) return {};
    const caching = new ResponseCaching(cache, rulesOf(config), kit);
    const purging = new Purging(config.purge_from ?? ['127.0.0.0/8', '::1'], cache);
    const purged = (count: number) => reply(200, { purged: count }, { reason: 'purged' });
    return {
      access: (exchange) =>
        exchange.request.method === 'PURGE'
          ? purging.access(exchange, resourceOf(exchange), purged)
          : caching.access(exchange),
      responseHeaders: (exchange) => caching.responseHeaders(exchange),
      log: (exchange) => caching.log(exchange),
    };
  },
});

/** Host with port, since the Upstream may put both into its answer, path and query; a `?` with nothing after it is no query. */
function resourceOf({ request }: AccessExchange): string {
  const { authority, path, query } = request;
  const host = authority.toLowerCase();
  return query === '' ? `${host}${path}` : `${host}${path}?${query}`;
}

function rulesOf(config: Static<typeof schema>): CachingRules {
  const hidden = config.targeted_fields.some((name) => name.toLowerCase() === OWN_FIELD.toLowerCase());
  const lifetime = (status: number, { explicit, lifetime }: Freshness): number => {
    if (explicit || lifetime > 0) return lifetime;
    if (NEGATIVE.has(status)) return config.negative_ttl * 1000;
    return POSITIVE.has(status) ? config.default_ttl * 1000 : 0;
  };
  return {
    policy: {
      targetedFields: config.targeted_fields.map((name) => name.toLowerCase()),
      heuristicFraction: config.heuristic_fraction,
      heuristicMaximum: config.heuristic_max * 1000,
      dropSetCookie: config.strip_set_cookie,
      guessesForCookies: false,
      staleIfError: config.stale_if_error * 1000,
      lifetime,
    },
    methods: METHODS,
    maxBodyBytes: config.max_object_bytes,
    collapseMs: config.collapse_timeout * 1000,
    heedsRequest: config.request_directives,
    invalidates: true,
    validates: true,
    isolatesConsumers: config.consumer_isolation,
    resource: resourceOf,
    apart: () => '',
    bypasses: () => false,
    accepts: () => true,
    marks: config.cache_status ? cacheStatusField : () => [],
    hides({ response }) {
      if (hidden && response.header(OWN_FIELD.toLowerCase()) !== undefined) response.removeHeader(OWN_FIELD);
    },
  };
}
