import type { Kind } from './resource.ts';

/**
 * One thing that someone wants done to the configuration. `value` is what was sent, already parsed;
 * `ttl` is in seconds.
 *
 * Ids are those of Resource: a Credential's is `<username>/<id>`, a Secret's `<manager>/<id>`.
 */
export type Operation =
  | {
      readonly type: 'create';
      readonly kind: Kind;
      readonly id?: string;
      readonly value: unknown;
      readonly ttl?: number;
    }
  | {
      readonly type: 'put';
      readonly kind: Kind;
      readonly id?: string;
      readonly value: unknown;
      readonly ttl?: number;
    }
  /** Merges `value` into the resource; null deletes a member, arrays are replaced whole. */
  | {
      readonly type: 'patch';
      readonly kind: Kind;
      readonly id?: string;
      readonly value: unknown;
      readonly ttl?: number;
    }
  /** Replaces what is at `path` (`plugins/limit-count/count`), or deletes it with null. */
  | {
      readonly type: 'patch-path';
      readonly kind: Kind;
      readonly id?: string;
      readonly path: string;
      readonly value: unknown;
      readonly ttl?: number;
    }
  | { readonly type: 'delete'; readonly kind: Kind; readonly id?: string; readonly force?: boolean }
  /** Removes everything whose time to live has passed. */
  | { readonly type: 'expire' };

/** What the Admin API answers to an operation that was accepted. */
export interface Answer {
  readonly ok: true;
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}
