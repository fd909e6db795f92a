// What a data plane and its control plane tell each other: POST to SYNC_PATH over mutual TLS, a
// SyncRequest answered by a SyncAnswer, or by 204 when there was nothing new for a while.

import { validate } from '../lib/json-schema.ts';
import { type Static, Type } from '../lib/schema.ts';
import { withHint } from '../lib/schema-check.ts';
import type { Change } from '../model/change.ts';
import type { Resource, Revision } from '../model/resource.ts';

export const SYNC_PATH = '/sluice/v1/sync';

const revision = Type.Integer({ minimum: 0 });
const digest = Type.String({ maxLength: 64 });
const text = Type.String({ maxLength: 1024 });

const syncRequest = Type.Object({
  /** Made at the data plane's first start, and kept. */
  instance: Type.String({ minLength: 1, maxLength: 64 }),
  host: text,
  version: text,
  /** What it holds; with another digest than the control plane's it has something else. */
  revision,
  digest,
  /** How long the answer may wait for news. */
  wait_ms: Type.Integer({ minimum: 0, maximum: 60_000 }),
  /** It started from its disk, and has not been in touch since. */
  stale: Type.Boolean(),
  started_at: Type.Integer({ minimum: 0 }),
  workers: Type.Array(Type.Object({ worker: Type.Integer(), revision }), { maxItems: 256 }),
  worker_restarts: Type.Integer({ minimum: 0 }),
  /** What it was told and didn't take. */
  refused: Type.Optional(Type.Object({ revision, digest, reason: text })),
});

/** What a data plane says of itself each time it asks. */
export type SyncRequest = Static<typeof syncRequest>;
export type Refusal = NonNullable<SyncRequest['refused']>;

/** The digest is that of the resources which hold at the revision. */
export type SyncAnswer = { readonly revision: Revision; readonly digest: string } & (
  | { readonly changes: readonly Change[] }
  | { readonly resources: readonly Resource[] }
);

/** Reads what a data plane sent; throws an Error that says what is wrong with it. */
export function readSyncRequest(body: string): SyncRequest {
  const value: unknown = JSON.parse(body);
  const wrong = validate(syncRequest, value);
  if (wrong !== undefined) throw new Error(withHint(wrong));
  return value as SyncRequest;
}
