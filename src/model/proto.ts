import { type Static, Type } from '../lib/schema.ts';
import { defineResource } from './define-resource.ts';
import { namedDescription } from './description.ts';

export const proto = Type.Object(
  { ...namedDescription, content: Type.String({ minLength: 1, maxLength: 1024 * 1024 }) },
  { additionalProperties: false },
);
export type Proto = Static<typeof proto>;

export const protos = defineResource({
  kind: 'protos',
  noun: 'proto',
  summary: 'A protobuf schema.',
  schema: proto,
  unsupported: ['PATCH'],
});
