import { type Static, Type } from '../lib/schema.ts';
import { defineResource } from './define-resource.ts';
import { description } from './description.ts';
import { identifier } from './identifier.ts';
import { plugins } from './plugins-field.ts';

export const globalRule = Type.Object(
  {
    id: identifier,
    create_time: description.create_time,
    update_time: description.update_time,
    plugins,
  },
  { additionalProperties: false },
);
export type GlobalRule = Static<typeof globalRule>;

export const globalRules = defineResource({
  kind: 'global_rules',
  noun: 'global rule',
  summary: 'Bindings for every request.',
  schema: globalRule,
  unsupported: ['POST'],
  plugins: 'bindings',
});
