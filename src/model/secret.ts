import { type Schema, type Static, Type } from '../lib/schema.ts';
import { url } from './address.ts';
import { defineResource } from './define-resource.ts';
import { description } from './description.ts';

const times = {
  id: Type.Optional(Type.String({ maxLength: 128, pattern: '^[a-zA-Z0-9-_.]+/[a-zA-Z0-9-_.]+$' })),
  create_time: description.create_time,
  update_time: description.update_time,
};

const vault = Type.Object({
  ...times,
  uri: url,
  prefix: Type.String(),
  token: Type.String({ secret: true }),
  namespace: Type.Optional(Type.String()),
});

const aws = Type.Object({
  ...times,
  access_key_id: Type.String(),
  secret_access_key: Type.String({ secret: true }),
  session_token: Type.Optional(Type.String({ secret: true })),
  region: Type.String({ default: 'us-east-1' }),
  endpoint_url: Type.Optional(url),
});

const gcp = Type.Object(
  {
    ...times,
    auth_config: Type.Optional(
      Type.Object({
        client_email: Type.String(),
        private_key: Type.String({ secret: true }),
        project_id: Type.String(),
        token_uri: Type.String({ default: 'https://oauth2.googleapis.com/token' }),
        scopes: Type.Unsafe<string | readonly string[]>({
          oneOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }],
          default: 'https://www.googleapis.com/auth/cloud-platform',
        }),
        entries_uri: Type.String({ default: 'https://secretmanager.googleapis.com/v1/' }),
      }),
    ),
    ssl_verify: Type.Boolean({ default: true }),
    auth_file: Type.Optional(Type.String()),
  },
  { oneOf: [{ required: ['auth_config'] }, { required: ['auth_file'] }] },
);

/** The schemas of the secret managers, by the name that stands in a Secret's id: `vault/1`. */
export const secretManagers: Readonly<Record<string, Schema>> = { vault, aws, gcp };

export const secret = Type.Union([vault, aws, gcp], { keyword: 'anyOf' });
export type Secret = Static<typeof secret>;

export const secrets = defineResource({
  kind: 'secrets',
  noun: 'secret',
  summary: 'Access to a secret manager, from which values are taken by reference.',
  schema: secret,
  unsupported: ['POST'],
});
