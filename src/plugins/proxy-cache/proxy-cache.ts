import { parseCacheControl } from '../../lib/http-caching/cache-control.ts';
import type { Field } from '../../lib/http-caching/field-list.ts';
import type { Freshness } from '../../lib/http-caching/freshness.ts';
import { type Static, Type } from '../../lib/schema.ts';
import { addressList, addressListProblem } from '../../plugin/address-schema.ts';
import type { CachingOutcome, CachingRules } from '../../plugin/caching/caching-rules.ts';
import { Purging } from '../../plugin/caching/purging.ts';
import { ResponseCaching } from '../../plugin/caching/response-caching.ts';
import { zoneFor } from '../../plugin/caching/zone-for.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import type { AccessExchange, ResponseExchange } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { reply } from '../../plugin/reply.ts';

const DISK_ZONE = 'disk_cache_one';
/** For how long nginx keeps on disk what has no lifetime of its own, as APISIX configures it. */
const DISK_LIFETIME_MS = 10_000;
const COLLAPSE_MS = 5_000;

const value = (description: string) =>
  Type.String({ pattern: '(^[^\\$].+$|^\\$[0-9a-zA-Z_]+$)', description });

const schema = Type.Object({
  cache_zone: Type.String({
    minLength: 1,
    maxLength: 100,
    default: DISK_ZONE,
    description: 'The zone in which responses are kept; one of `caches` in the settings.',
  }),
  cache_strategy: Type.Enum(['disk', 'memory'], {
    default: 'disk',
    description: 'Where the zone keeps them. It decides for how long, see `cache_ttl`.',
  }),
  cache_key: Type.Array(value('A variable such as `$uri`, or a text.'), {
    minItems: 1,
    default: ['$host', '$request_uri'],
    description: 'What tells one response from another.',
  }),
  cache_http_status: Type.Array(Type.Integer({ minimum: 200, maximum: 599, description: 'A status code.' }), {
    minItems: 1,
    uniqueItems: true,
    default: [200, 301, 404],
    description: 'Statuses of responses that are stored.',
  }),
  cache_method: Type.Array(Type.Enum(['GET', 'POST', 'HEAD'], { description: 'A method.' }), {
    minItems: 1,
    uniqueItems: true,
    default: ['GET', 'HEAD'],
    description: 'Methods whose responses are stored and looked up.',
  }),
  hide_cache_headers: Type.Boolean({
    default: false,
    description: 'Remove `Cache-Control` and `Expires` from responses.',
  }),
  cache_control: Type.Boolean({
    default: false,
    description: 'Heed `Cache-Control` of requests, and store only what the Upstream gives a lifetime.',
  }),
  cache_bypass: Type.Optional(
    Type.Array(value('A variable, or a text.'), {
      minItems: 1,
      description: 'Asks the Upstream when one of them is neither empty nor `0`.',
    }),
  ),
  no_cache: Type.Optional(
    Type.Array(value('A variable, or a text.'), {
      minItems: 1,
      description: 'Stores nothing when one of them is neither empty nor `0`.',
    }),
  ),
  cache_ttl: Type.Integer({
    minimum: 1,
    default: 300,
    description:
      'Seconds for which a response in memory is fresh, unless `cache_control` is on. On disk it is fresh for as long as the Upstream says, else for 10 seconds.',
  }),
  consumer_isolation: Type.Boolean({
    default: true,
    description: 'Keep answers to a Consumer for that Consumer alone, unless the Upstream says `public`.',
  }),
  cache_set_cookie: Type.Boolean({
    default: false,
    description: 'Store responses with `Set-Cookie`, without that field.',
  }),
  purge_from: Type.Optional(addressList('Addresses that may PURGE; 127.0.0.0/8 and ::1 unless given.')),
});
type Config = Static<typeof schema>;

export const proxyCache = definePlugin({
  name: 'proxy-cache',
  summary: 'Stores responses under keys and for times of your own.',
  priority: 1085,
  config: schema,
  check(config) {
    if (config.cache_key.includes('$request_method')) return 'cache_key variable $request_method unsupported';
    if (config.cache_strategy === 'memory' && config.cache_zone === DISK_ZONE)
      return 'invalid or empty cache_zone for cache_strategy: memory';
    return addressListProblem(config.purge_from);
  },
  create(config, kit) {
    const cache = zoneFor('proxy-cache', config.cache_zone, kit);
    if (cache === undefined) return {};
    const rules = rulesOf(config, kit, cache.maxBodyBytes);
    const caching = new ResponseCaching(cache, rules, kit);
    const purging = new Purging(config.purge_from ?? ['127.0.0.0/8', '::1'], cache);
    const purged = (count: number) => reply(count > 0 ? 200 : 404, undefined, { reason: 'purged' });
    return {
      access: (exchange) =>
        exchange.request.method === 'PURGE'
          ? purging.access(exchange, rules.resource(exchange), purged)
          : caching.access(exchange),
      responseHeaders: (exchange) => caching.responseHeaders(exchange),
      log: (exchange) => caching.log(exchange),
    };
  },
});

function rulesOf(config: Config, kit: Kit, maxBodyBytes: number): CachingRules {
  const { cache_control: heedsRequest, cache_strategy: strategy } = config;
  const key = config.cache_key.map((part) => valueFor(part, kit));
  const hasHost = config.cache_key.includes('$host');
  const bypass = anyOf(config.cache_bypass, kit);
  const noCache = anyOf(config.no_cache, kit);
  const statuses = new Set(config.cache_http_status);
  const lifetime = (_status: number, { explicit, lifetime: said }: Freshness): number => {
    if (heedsRequest) return explicit ? said : 0;
    if (strategy === 'memory') return config.cache_ttl * 1000;
    return explicit ? said : DISK_LIFETIME_MS;
  };
  return {
    policy: {
      targetedFields: [],
      heuristicFraction: 0,
      heuristicMaximum: 0,
      dropSetCookie: config.cache_set_cookie,
      guessesForCookies: true,
      staleIfError: 0,
      lifetime,
    },
    methods: new Set<string>(config.cache_method),
    maxBodyBytes,
    collapseMs: COLLAPSE_MS,
    heedsRequest,
    invalidates: false,
    validates: false,
    isolatesConsumers: config.consumer_isolation,
    // `$host` has no port, and one that a client makes up may stand in the answer's redirects.
    apart: ({ request }) => (hasHost ? (/:\d+$/.exec(request.authority)?.[0] ?? '') : ''),
    resource: (exchange) => key.map((part) => part(exchange) ?? '').join(''),
    bypasses: (exchange, directives) => directives.noCache || bypass(exchange),
    accepts(exchange, status) {
      if (!statuses.has(status) || noCache(exchange)) return false;
      // APISIX stores none of these, whatever else is said.
      const said = parseCacheControl(exchange.response.headerValues('cache-control'));
      return !said.noCache && !said.noStore && !said.private;
    },
    marks: (outcome) => mark(outcome, strategy),
    hides({ response }) {
      if (!config.hide_cache_headers) return;
      response.removeHeader('Cache-Control');
      response.removeHeader('Expires');
    },
  };
}

type Value = (exchange: AccessExchange | ResponseExchange) => string | undefined;

function valueFor(text: string, kit: Kit): Value {
  return text.startsWith('$') ? kit.variable(text) : () => text;
}

function anyOf(texts: readonly string[] | undefined, kit: Kit): (exchange: Parameters<Value>[0]) => boolean {
  const values = (texts ?? []).map((text) => valueFor(text, kit));
  return (exchange) =>
    values.some((one) => {
      const found = one(exchange);
      return found !== undefined && found !== '' && found !== '0';
    });
}

/** Apisix-Cache-Status, with the words that APISIX has for it. */
function mark({ status, forwarded }: CachingOutcome, strategy: Config['cache_strategy']): Field[] {
  const word =
    forwarded === 'method'
      ? strategy === 'memory'
        ? 'MISS'
        : 'BYPASS'
      : forwarded === 'request'
        ? 'STALE'
        : status.toUpperCase();
  return [['Apisix-Cache-Status', word]];
}
