import { type Schema, Type } from '../lib/schema.ts';

/** Configs by Plugin name. Each is checked against its Plugin's own schema, not here. */
export const plugins: Schema<Readonly<Record<string, Readonly<Record<string, unknown>>>>> = Type.Unsafe({
  type: 'object',
});
