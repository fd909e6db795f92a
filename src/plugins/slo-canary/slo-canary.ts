import { type Static, Type } from '../../lib/schema.ts';
import { unitHash } from '../../lib/share-by-key.ts';
import { referenceTo } from '../../model/identifier.ts';
import { checkUpstream, type Upstream, upstream } from '../../model/upstream.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { slot } from '../../plugin/exchange.ts';
import { compileStickyKey } from '../../plugin/limit-key.ts';
import { type Decision, type Objectives, Rollout } from './rollout.ts';

const rate = (description: string) => Type.Optional(Type.Number({ minimum: 0, maximum: 1, description }));

const config = Type.Object(
  {
    upstream_id: Type.Optional<string | number>({
      ...referenceTo('upstreams'),
      description: 'The id of the new Upstream.',
    }),
    upstream: Type.Optional<Upstream>({ ...upstream, description: 'The new Upstream, written in place.' }),
    steps: Type.Array(Type.Number({ exclusiveMinimum: 0, maximum: 100 }), {
      minItems: 1,
      maxItems: 50,
      default: [1, 5, 25, 50, 100],
      description: 'Percent of the requests that the new Upstream gets, step by step, rising.',
    }),
    interval: Type.Number({
      exclusiveMinimum: 0,
      maximum: 604_800,
      default: 60,
      description: 'Seconds of each step, at least: it lasts until `min_requests` have been seen, too.',
    }),
    min_requests: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 100,
      description: 'Requests to the new Upstream without which nothing is decided.',
    }),
    max_error_rate: rate(
      'The share of failed requests (status 500 and above) that the new Upstream may have.',
    ),
    max_error_rate_increase: rate(
      "How much the new Upstream's share of failed requests may be above the old one's.",
    ),
    latency_percentile: Type.Number({
      exclusiveMinimum: 0,
      exclusiveMaximum: 100,
      default: 95,
      description: 'The percentile of the times to the head of the response that is judged.',
    }),
    max_latency: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: 'Seconds that the percentile may be at the new Upstream.',
      }),
    ),
    max_latency_ratio: Type.Optional(
      Type.Number({
        minimum: 1,
        description: "How many times the old Upstream's percentile the new one's may be, for example 1.5.",
      }),
    ),
    sticky_by: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'A variable, or a text with variables, whose value stays with the new Upstream once it came there, for example `cookie_user`.',
      }),
    ),
    version: Type.Optional(
      Type.String({
        maxLength: 256,
        description: 'Means nothing. Change it to begin again with the first step.',
      }),
    ),
    show_header: Type.Boolean({
      default: false,
      description: 'Tell clients in `X-Sluice-Canary` whether the `canary` or the `baseline` answered.',
    }),
  },
  { additionalProperties: false },
);

type Config = Static<typeof config>;

/** Where an Exchange went, and when. */
interface Way {
  readonly canary: boolean;
  sentAt: number;
}

/** How many Bindings of this thread show a share: a Route that is compiled anew has two for a moment. */
const holders = new Map<string, number>();

const TOLD: Readonly<Record<Decision['outcome'], string>> = {
  started: 'canary started',
  advanced: 'canary advanced',
  promoted: 'canary promoted',
  rolled_back: 'canary rolled back',
};

export const sloCanary = definePlugin({
  name: 'slo-canary',
  summary:
    'Moves traffic to a new Upstream step by step, and back by itself when it fails more or is slower.',
  priority: 967,
  config,
  check(config) {
    if ((config.upstream_id === undefined) === (config.upstream === undefined))
      return 'exactly one of "upstream_id" and "upstream" is required';
    const error = config.upstream && checkUpstream(config.upstream);
    if (error) return error;
    if (config.steps.some((step, index) => index > 0 && step <= config.steps[index - 1]))
      return 'property "steps" validation failed: each step must be above the one before';
    if (LIMITS.every((name) => config[name] === undefined)) return `one of ${LIMITS.join(', ')} is required`;
  },
  create(config, kit) {
    const canary = kit.upstream(
      config.upstream_id === undefined ? config.upstream! : String(config.upstream_id),
    );
    const rollout = new Rollout(kit.shared, `${kit.stateKey}|rollout`, objectivesOf(config));
    const keyOf = config.sticky_by === undefined ? undefined : compileStickyKey(config.sticky_by);
    const ways = slot<Way>('slo-canary');
    // By place, not by config: who has come stays when the thresholds change.
    const seed = `${kit.place.kind}/${kit.place.id}|`;
    holders.set(kit.stateKey, (holders.get(kit.stateKey) ?? 0) + 1);
    kit.gauge('sluice_canary_share', rollout.share);
    return {
      access(exchange) {
        const key = keyOf?.(exchange);
        const at = key === undefined || key === '' ? kit.random() : unitHash(seed + key);
        const chosen = at * 100 < rollout.share;
        if (chosen) exchange.useUpstream(canary);
        exchange.set(ways, { canary: chosen, sentAt: -1 });
      },
      beforeProxy(exchange) {
        const way = exchange.get(ways);
        if (way !== undefined) way.sentAt = kit.clock.monotonic();
      },
      responseHeaders(exchange) {
        const way = exchange.get(ways);
        // What never went to an Upstream says nothing about one.
        if (way === undefined || way.sentAt < 0) return;
        const { response } = exchange;
        if (config.show_header) response.setHeader('X-Sluice-Canary', way.canary ? 'canary' : 'baseline');
        const now = kit.clock.monotonic();
        // A stored response that stands in hides the failure from the client, not from us.
        const failed = response.status >= 500 || exchange.cacheStatus === 'stale';
        const decision = rollout.record(way.canary, failed, now - way.sentAt, now);
        if (decision === undefined) return;
        kit.gauge('sluice_canary_share', decision.to);
        const { outcome, ...numbers } = decision;
        const fields = { route_id: exchange.routeId, percentile: config.latency_percentile, ...numbers };
        if (outcome === 'rolled_back') kit.log.warn(TOLD[outcome], fields);
        else kit.log.info(TOLD[outcome], fields);
      },
      dispose() {
        const left = holders.get(kit.stateKey)! - 1;
        if (left > 0) holders.set(kit.stateKey, left);
        else {
          holders.delete(kit.stateKey);
          kit.gauge('sluice_canary_share', undefined);
        }
      },
    };
  },
});

const LIMITS = ['max_error_rate', 'max_error_rate_increase', 'max_latency', 'max_latency_ratio'] as const;

function objectivesOf(config: Config): Objectives {
  return {
    steps: config.steps,
    intervalMs: config.interval * 1000,
    minRequests: config.min_requests,
    maxErrorRate: config.max_error_rate,
    maxErrorRateIncrease: config.max_error_rate_increase,
    percentile: config.latency_percentile,
    maxLatencyMs: config.max_latency === undefined ? undefined : config.max_latency * 1000,
    maxLatencyRatio: config.max_latency_ratio,
  };
}
