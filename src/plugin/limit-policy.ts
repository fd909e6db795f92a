import { Type } from '../lib/schema.ts';
import type { Kit } from './kit.ts';
import { type Limits, LimitsUnavailable } from './limits.ts';
import { type RedisFields, redisSettings } from './redis-settings.ts';

/** The field that says what a limit does when it can't decide, as in APISIX. */
export const degradationField = {
  allow_degradation: Type.Boolean({
    default: false,
    description: 'Let requests pass when the limit itself fails, instead of answering 500.',
  }),
};

export interface PolicyFields extends RedisFields {
  readonly allow_degradation: boolean;
  readonly on_redis_failure?: 'refuse' | 'allow' | 'count_locally';
  readonly key_ttl?: number;
}

/** Where a Binding counts, and what it does when that fails. */
export interface LimitPolicy {
  readonly limits: Limits;
  /** Decides about one request that couldn't be counted: true lets it pass. Says so in the log, unless that was done. */
  failsOpen(message: string, error: unknown): boolean;
  /** Belongs into the Binding's `dispose`; undefined where there is nothing to let go. */
  readonly dispose: (() => void) | undefined;
}

/** APISIX's `key_ttl` where the schema has none. */
const STAY_TTL_SECONDS = 3600;

/** The policy that a config chose. Memory shared by this machine's workers answers at once; Redis by promises. */
export function limitPolicy(config: PolicyFields, kit: Kit): LimitPolicy {
  const { allow_degradation: allows, on_redis_failure: chosen } = config;
  if (config.policy === 'local') {
    return { limits: kit.limits, failsOpen: failing(allows, kit), dispose: undefined };
  }
  const limits = kit.sharedLimits({
    redis: redisSettings(config),
    stayTtlSeconds: config.key_ttl ?? STAY_TTL_SECONDS,
    countLocally: chosen === 'count_locally',
  });
  const open = chosen === undefined ? allows : chosen === 'allow';
  return { limits, failsOpen: failing(open, kit), dispose: () => limits.release() };
}

function failing(open: boolean, kit: Kit): LimitPolicy['failsOpen'] {
  return (message, error) => {
    if (!(error instanceof LimitsUnavailable)) kit.log.error(message, { error: String(error) });
    return open;
  };
}
