import { Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { reply } from '../../plugin/reply.ts';

const TOO_LARGE = reply(413, undefined, { reason: 'body_too_large' });

export const clientControl = definePlugin({
  name: 'client-control',
  summary: 'Limits how large the body of a request may be.',
  priority: 22000,
  config: Type.Object({
    max_body_size: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Bytes of the largest request body. 0 for no limit but that of the listener.',
      }),
    ),
  }),
  create({ max_body_size: maximum = 0 }) {
    if (maximum === 0) return {};
    return { rewrite: (exchange) => (exchange.limitBody(maximum) ? undefined : TOO_LARGE) };
  },
});
