import { Type } from '../lib/schema.ts';
import { type Reply, reply } from './reply.ts';

/** The fields of a limit's config that say how it answers a request too many, as in APISIX. */
export const refusalFields = {
  rejected_code: Type.Integer({
    minimum: 200,
    maximum: 599,
    default: 503,
    description: 'Status of the answer to a request too many. 429 is what clients expect.',
  }),
  rejected_msg: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'Sent as `{"error_msg": …}` to a request too many, instead of an error page.',
    }),
  ),
};

/** What `refusalFields` say once defaults are filled in. */
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
