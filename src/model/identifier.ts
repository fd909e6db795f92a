import { type Schema, Type } from '../lib/schema.ts';
import type { Kind } from './resource.ts';

/** What may be the id of a resource. A number is the same id as its decimal text. */
export const identifier: Schema<string | number> = Type.Union(
  [Type.String({ minLength: 1, maxLength: 64, pattern: '^[a-zA-Z0-9-_.]+$' }), Type.Integer({ minimum: 1 })],
  { keyword: 'anyOf' },
);

/**
 * The id of a resource of `kind`. Whatever schema contains it, also a Plugin's, the reference is
 * checked when the value is written, and what it names can't be deleted while it stands.
 */
export function referenceTo(kind: Kind): Schema<string | number> {
  return { ...identifier, references: kind };
}
