import { type Static, Type } from '../lib/schema.ts';
import { defineResource } from './define-resource.ts';
import { description } from './description.ts';
import { identifier } from './identifier.ts';
import { plugins } from './plugins-field.ts';

export const pluginConfig = Type.Object(
  { ...description, id: identifier, name: Type.Optional(Type.String()), plugins },
  { additionalProperties: false },
);
export type PluginConfig = Static<typeof pluginConfig>;

export const pluginConfigs = defineResource({
  kind: 'plugin_configs',
  noun: 'plugin config',
  summary: 'A named, reusable set of Bindings.',
  schema: pluginConfig,
  unsupported: ['POST'],
  plugins: 'bindings',
});
