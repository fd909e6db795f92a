import { Type } from '../../lib/schema.ts';
import { METHODS } from '../../model/method.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import type { AccessExchange } from '../../plugin/exchange.ts';
import { reply } from '../../plugin/reply.ts';

/** Where the value that is looked up in the lists comes from. */
const VALUES = {
  consumer_name: (exchange: AccessExchange) => exchange.consumer?.username,
  consumer_group_id: (exchange: AccessExchange) => exchange.consumer?.groupId,
  service_id: (exchange: AccessExchange) => exchange.serviceId,
  route_id: (exchange: AccessExchange) => exchange.routeId,
} as const;

export const consumerRestriction = definePlugin({
  name: 'consumer-restriction',
  summary: 'Allows or refuses callers by Consumer, Consumer group, Service or Route.',
  priority: 2400,
  config: Type.Object(
    {
      type: Type.Enum(['consumer_name', 'consumer_group_id', 'service_id', 'route_id'], {
        default: 'consumer_name',
        description: 'What the lists hold.',
      }),
      blacklist: Type.Optional(
        Type.Array(Type.String(), { minItems: 1, description: 'Who is refused, before all else.' }),
      ),
      whitelist: Type.Optional(
        Type.Array(Type.String(), {
          minItems: 1,
          description: 'Who is allowed, whatever the method; everyone else is refused.',
        }),
      ),
      allowed_by_methods: Type.Optional(
        Type.Array(
          Type.Object({
            user: Type.Optional(Type.String({ description: 'Whom the entry is about.' })),
            methods: Type.Optional(
              Type.Array(Type.Enum(METHODS), { minItems: 1, description: 'The methods allowed to them.' }),
            ),
          }),
          { description: 'Methods by caller. Who has no entry may use all.' },
        ),
      ),
      rejected_code: Type.Integer({
        minimum: 200,
        default: 403,
        description: 'Status of the answer to who is refused.',
      }),
      rejected_msg: Type.Optional(
        Type.String({ description: 'Message of that answer, instead of `The consumer_name is forbidden.`' }),
      ),
    },
    {
      anyOf: [{ required: ['blacklist'] }, { required: ['whitelist'] }, { required: ['allowed_by_methods'] }],
    },
  ),
  create(config) {
    const { type } = config;
    const lookUp = VALUES[type];
    const blacklist = new Set(config.blacklist);
    const whitelist = config.whitelist && new Set(config.whitelist);
    const methodsOf = new Map<string, ReadonlySet<string>>();
    for (const { user, methods } of config.allowed_by_methods ?? []) {
      // The first entry about someone counts, as in APISIX.
      if (user !== undefined && !methodsOf.has(user)) methodsOf.set(user, new Set(methods));
    }
    const missing = reply(
      401,
      { message: `The request is rejected, please check the ${type} for this request` },
      { reason: 'consumer_restriction_missing' },
    );
    const refused = reply(
      config.rejected_code,
      { message: config.rejected_msg ?? `The ${type} is forbidden.` },
      { reason: 'consumer_restriction' },
    );

    return {
      access(exchange) {
        const value = lookUp(exchange);
        if (value === undefined) return missing;
        if (blacklist.has(value)) return refused;
        if (whitelist !== undefined) return whitelist.has(value) ? undefined : refused;
        const methods = methodsOf.get(value);
        return methods === undefined || methods.has(exchange.request.method) ? undefined : refused;
      },
    };
  },
});
