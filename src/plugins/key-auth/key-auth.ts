import { removeQueryParameter } from '../../lib/query-parameter.ts';
import { Type } from '../../lib/schema.ts';
import { anonymousConsumer, hideCredentials, realm } from '../../plugin/auth-schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { reply } from '../../plugin/reply.ts';

export const keyAuth = definePlugin({
  name: 'key-auth',
  summary: 'Recognises callers by an API key in a header or the query.',
  priority: 2500,
  config: Type.Object({
    header: Type.String({ default: 'apikey', description: 'The header field that holds the key.' }),
    query: Type.String({
      default: 'apikey',
      description: 'The query parameter that holds the key when the header is absent.',
    }),
    hide_credentials: hideCredentials('the header field or query parameter with the key'),
    realm: realm('key'),
    anonymous_consumer: anonymousConsumer,
  }),
  credential: {
    config: Type.Object({
      key: Type.String({ secret: true, description: 'The key; no two Consumers may have the same.' }),
    }),
    identity: (config) => String(config.key),
    identityField: 'key',
  },
  create({ header, query, hide_credentials: hide, realm, anonymous_consumer: anonymous }, kit) {
    const headerName = header.toLowerCase();
    const refusal = (message: string, reason: string) =>
      reply(401, { message }, { headers: [['WWW-Authenticate', `apikey realm="${realm}"`]], reason });
    const missing = refusal('Missing API key in request', 'key_missing');
    const invalid = refusal('Invalid API key in request', 'key_invalid');
    const noAnonymous = refusal('Invalid user authorization', 'anonymous_consumer_missing');

    return {
      rewrite(exchange) {
        const { request } = exchange;
        // Only the first field counts: with several, which one an Upstream would look at is anyone's guess.
        const fromHeader = request.header(headerName);
        const key = fromHeader ?? request.queryParameter(query);
        let match = key === undefined ? undefined : kit.credentials.find(key);
        if (match === undefined) {
          if (anonymous === undefined) return key === undefined ? missing : invalid;
          match = kit.credentials.consumer(anonymous);
          if (match === undefined) {
            kit.log.error('anonymous_consumer is not a Consumer', { consumer: anonymous });
            return noAnonymous;
          }
        }
        if (hide && key !== undefined) {
          if (fromHeader !== undefined) request.removeHeader(headerName);
          else exchange.upstream.query = removeQueryParameter(exchange.upstream.query, query);
        }
        exchange.authenticate(match);
        return undefined;
      },
    };
  },
});
