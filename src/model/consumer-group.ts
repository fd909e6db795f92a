import { type Static, Type } from '../lib/schema.ts';
import { defineResource } from './define-resource.ts';
import { namedDescription } from './description.ts';
import { identifier } from './identifier.ts';
import { plugins } from './plugins-field.ts';

export const consumerGroup = Type.Object(
  { ...namedDescription, id: identifier, plugins },
  { additionalProperties: false },
);
export type ConsumerGroup = Static<typeof consumerGroup>;

export const consumerGroups = defineResource({
  kind: 'consumer_groups',
  noun: 'consumer group',
  summary: 'Consumers that share Bindings.',
  schema: consumerGroup,
  unsupported: ['POST'],
  plugins: 'bindings',
});
