import { type Static, Type } from '../lib/schema.ts';
import { defineResource } from './define-resource.ts';
import { description } from './description.ts';
import { referenceTo } from './identifier.ts';
import { plugins } from './plugins-field.ts';

export const consumer = Type.Object(
  {
    ...description,
    username: Type.String({ minLength: 1, maxLength: 256, pattern: '^[a-zA-Z0-9_\\-]+$' }),
    group_id: Type.Optional(referenceTo('consumer_groups')),
    plugins: Type.Optional(plugins),
  },
  { additionalProperties: false },
);
export type Consumer = Static<typeof consumer>;

export const consumers = defineResource({
  kind: 'consumers',
  noun: 'consumer',
  summary: 'Someone the gateway can recognise. Its username is its id.',
  schema: consumer,
  unsupported: ['POST', 'PATCH'],
  plugins: 'consumer',
});
