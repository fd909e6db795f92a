import { type Schema, Type } from '../lib/schema.ts';
import { identifier } from './identifier.ts';

/** Key and value pairs by which people sort their resources. */
export const labels: Schema<Readonly<Record<string, string>>> = Type.Unsafe({
  description: 'key/value pairs to specify attributes',
  type: 'object',
  patternProperties: {
    '.*': {
      description: 'value of label',
      type: 'string',
      pattern: '^\\S+$',
      maxLength: 256,
      minLength: 1,
    },
  },
});

export const resourceName = Type.String({ maxLength: 256, minLength: 1 });
const text = Type.String({ maxLength: 256 });
const timestamp = Type.Integer({ description: 'Unix seconds' });

/** What every resource may say about itself besides what it does. */
export const description = {
  id: Type.Optional(identifier),
  desc: Type.Optional(text),
  labels: Type.Optional(labels),
  create_time: Type.Optional(timestamp),
  update_time: Type.Optional(timestamp),
};

/** The same with a name for people. */
export const namedDescription = { ...description, name: Type.Optional(resourceName) };
