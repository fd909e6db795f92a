import { type Static, Type } from '../lib/schema.ts';
import { defineResource } from './define-resource.ts';

export const pluginMetadata = Type.Unsafe<Readonly<Record<string, unknown>>>({ type: 'object' });
export type PluginMetadata = Static<typeof pluginMetadata>;

export const pluginMetadatas = defineResource({
  kind: 'plugin_metadata',
  noun: 'plugin_metadata',
  summary: 'What all Bindings of one Plugin share. Its id is the name of the Plugin.',
  schema: pluginMetadata,
  unsupported: ['POST', 'PATCH'],
});
