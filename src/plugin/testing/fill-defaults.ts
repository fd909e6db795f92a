import type { Schema } from '../../lib/schema.ts';

/**
 * A copy of `value` with the schema's defaults filled in, in objects and the items of arrays. Checks
 * nothing.
 */
export function fillDefaults(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) {
    return isObject(schema.items) ? value.map((item) => fillDefaults(schema.items as Schema, item)) : value;
  }
  if (!isObject(value)) return value;
  const filled: Record<string, unknown> = { ...value };
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const present = filled[name] ?? structuredClone((property as Schema).default);
    if (present !== undefined) filled[name] = fillDefaults(property as Schema, present);
  }
  return filled;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
