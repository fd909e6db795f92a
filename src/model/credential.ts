import { type Static, Type } from '../lib/schema.ts';
import { defineResource } from './define-resource.ts';
import { namedDescription } from './description.ts';
import { identifier } from './identifier.ts';
import type { plugins } from './plugins-field.ts';

export const credential = Type.Object(
  {
    ...namedDescription,
    id: Type.Optional(
      Type.Union([
        identifier,
        Type.String({
          minLength: 15,
          maxLength: 128,
          pattern: '^[a-zA-Z0-9-_]+/credentials/[a-zA-Z0-9-_.]+$',
        }),
      ]),
    ),
    plugins: Type.Optional(Type.Unsafe<Static<typeof plugins>>({ type: 'object', maxProperties: 1 })),
  },
  { additionalProperties: false },
);
export type Credential = Static<typeof credential>;

export const credentials = defineResource({
  kind: 'credentials',
  noun: 'credential',
  summary: 'By what a Consumer is recognised.',
  schema: credential,
  unsupported: ['POST', 'PATCH'],
  plugins: 'credential',
});
