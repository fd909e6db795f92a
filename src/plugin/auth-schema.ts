// Fields that auth Plugins share.

import { Type } from '../lib/schema.ts';

/** The realm of the challenge. Nothing that would end the quoted string or the field may be in it. */
export function realm(defaultRealm: string) {
  return Type.String({
    default: defaultRealm,
    minLength: 1,
    maxLength: 256,
    pattern: '^[ !#-\\[\\]-~]+$',
    description: 'The realm in the WWW-Authenticate field of a 401.',
  });
}

export const anonymousConsumer = Type.Optional(
  Type.String({
    minLength: 1,
    description: 'Username of the Consumer as which callers without a valid credential go on.',
  }),
);

export function hideCredentials(what: string) {
  return Type.Boolean({ default: false, description: `Remove ${what} before the request goes upstream.` });
}
