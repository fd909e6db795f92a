import { equalInConstantTime } from '../../lib/constant-time.ts';
import { Type } from '../../lib/schema.ts';
import { anonymousConsumer, hideCredentials, realm } from '../../plugin/auth-schema.ts';
import type { CredentialMatch } from '../../plugin/consumer.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { reply } from '../../plugin/reply.ts';

export const basicAuth = definePlugin({
  name: 'basic-auth',
  summary: 'Recognises callers by user name and password (RFC 7617).',
  priority: 2520,
  config: Type.Object({
    hide_credentials: hideCredentials('the Authorization field'),
    realm: realm('basic'),
    anonymous_consumer: anonymousConsumer,
  }),
  credential: {
    config: Type.Object({
      username: Type.String({ description: 'The user name; no two Consumers may have the same.' }),
      password: Type.String({ secret: true, description: 'The password.' }),
    }),
    identity: (config) => String(config.username),
    identityField: 'username',
  },
  create({ hide_credentials: hide, realm, anonymous_consumer: anonymous }, kit) {
    const refusal = (message: string, reason: string) =>
      reply(401, { message }, { headers: [['WWW-Authenticate', `Basic realm="${realm}"`]], reason });
    const missing = refusal('Missing authorization in request', 'authorization_missing');
    const malformed = refusal('Invalid authorization in request', 'authorization_malformed');
    const wrong = refusal('Invalid user authorization', 'authorization_wrong');

    const find = (given: UserPass): CredentialMatch | undefined => {
      const match = kit.credentials.find(given.username);
      // An unknown name costs a comparison too, so that its answer doesn't come sooner.
      const equal = equalInConstantTime(given.password, String(match?.config.password ?? ''));
      return equal ? match : undefined;
    };

    return {
      rewrite(exchange) {
        const { request } = exchange;
        const field = request.header('authorization');
        const given = field === undefined ? undefined : userPass(field);
        let match = given === undefined ? undefined : find(given);
        if (match === undefined) {
          if (anonymous === undefined) {
            if (field === undefined) return missing;
            return given === undefined ? malformed : wrong;
          }
          match = kit.credentials.consumer(anonymous);
          if (match === undefined) {
            kit.log.error('anonymous_consumer is not a Consumer', { consumer: anonymous });
            return wrong;
          }
        }
        if (hide) request.removeHeader('authorization');
        exchange.authenticate(match);
        return undefined;
      },
    };
  },
});

interface UserPass {
  readonly username: string;
  readonly password: Uint8Array;
}

const SCHEME = /^basic[ \t]+/i;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
const COLON = 0x3a;

/** The name and password of an Authorization field (RFC 7617 2), or undefined when it holds none. */
function userPass(field: string): UserPass | undefined {
  const scheme = SCHEME.exec(field);
  if (scheme === null) return undefined;
  const token = field.slice(scheme[0].length).trimEnd();
  if (!BASE64.test(token)) return undefined;
  const decoded = Buffer.from(token, 'base64');
  // A name can't hold a colon, a password can.
  const colon = decoded.indexOf(COLON);
  if (colon < 0) return undefined;
  return { username: decoded.toString('utf8', 0, colon), password: decoded.subarray(colon + 1) };
}
