import { createHash } from 'node:crypto';
import type { Change } from './change.ts';
import type { Resource } from './resource.ts';
import { resourceKey } from './resource-index.ts';

const BYTES = 32;

/** All of a resource as a text; two with the same text are the same. */
export function resourceText(resource: Resource): string {
  const { kind, id, workspace, createdRevision, modifiedRevision, expiresAt = null, value } = resource;
  return JSON.stringify([kind, id, workspace, createdRevision, modifiedRevision, expiresAt, value]);
}

/**
 * Tells whether two processes hold the same resources: the exclusive or of the SHA-256 of each. A
 * Change costs its own size, and the order in which resources came doesn't matter. It finds what
 * was lost or applied by halves; it is no protection against someone who chooses the resources.
 */
export class SnapshotDigest {
  readonly #digests = new Map<string, Buffer>();
  readonly #sum = Buffer.alloc(BYTES);

  apply({ removals, puts }: Change): void {
    for (const { kind, id } of removals) this.#forget(resourceKey(kind, id));
    for (const resource of puts) {
      const key = resourceKey(resource.kind, resource.id);
      this.#forget(key);
      const digest = createHash('sha256').update(resourceText(resource)).digest();
      this.#digests.set(key, digest);
      this.#add(digest);
    }
  }

  /** 43 characters. */
  get text(): string {
    return this.#sum.toString('base64url');
  }

  #forget(key: string): void {
    const digest = this.#digests.get(key);
    if (digest === undefined) return;
    this.#digests.delete(key);
    this.#add(digest);
  }

  #add(digest: Buffer): void {
    for (let index = 0; index < BYTES; index++) this.#sum[index] ^= digest[index];
  }
}
