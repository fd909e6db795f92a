import { type Reply, reply } from './reply.ts';

/** How a limit answers a request that is too many: APISIX's `rejected_code` and `rejected_msg`. */
export interface LimitRefusal {
  readonly rejected_code: number;
  readonly rejected_msg?: string;
}

/**
 * The Reply to a request that is too many. A 429 says when to come back (RFC 9110 10.2.3), which
 * APISIX doesn't.
 */
export function refuse(config: LimitRefusal, retryAfterSeconds: number, reason: string): Reply {
  const body = config.rejected_msg === undefined ? undefined : { error_msg: config.rejected_msg };
  if (config.rejected_code !== 429 || !(retryAfterSeconds > 0)) {
    return reply(config.rejected_code, body, { reason });
  }
  return reply(429, body, { headers: [['Retry-After', String(Math.ceil(retryAfterSeconds))]], reason });
}
