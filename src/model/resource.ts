// What the Store keeps and a Snapshot holds: one configured thing, at one revision.

/** The kinds of resource, as they are spelled in the Admin API's paths and in the declarative file. */
export const KINDS = [
  'routes',
  'services',
  'upstreams',
  'consumers',
  'credentials',
  'consumer_groups',
  'plugin_configs',
  'global_rules',
  'ssls',
  'protos',
  'secrets',
  'plugin_metadata',
  'stream_routes',
] as const;

export type Kind = (typeof KINDS)[number];

/** A monotonically growing number; each accepted Change makes the next one. */
export type Revision = number;

/** The configured object as the Admin API shows it: plain JSON with `id`, `create_time`, `update_time` (Unix seconds). */
export type Value = Readonly<Record<string, unknown>>;

/**
 * One resource as stored. Frozen; a change makes a new one.
 *
 * `id` is unique within a kind. A Credential's is `<username>/<credential id>`; a Secret's is
 * `<manager>/<id>`; a plugin's metadata has the plugin's name.
 */
export interface Resource<V = Value> {
  readonly kind: Kind;
  readonly id: string;
  readonly workspace: string;
  /** The revision that first wrote it (`createdIndex` in the Admin API). */
  readonly createdRevision: Revision;
  /** The revision that last wrote it (`modifiedIndex` in the Admin API). */
  readonly modifiedRevision: Revision;
  /** Unix milliseconds after which it no longer exists (Admin API `?ttl=`), or undefined. */
  readonly expiresAt?: number;
  readonly value: V;
}

export const DEFAULT_WORKSPACE = 'default';
