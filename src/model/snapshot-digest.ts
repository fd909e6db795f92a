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

  /** Moves along with a Snapshot. Returns what takes it back, as long as nothing else came after. */
  apply({ removals, puts }: Change): () => void {
    const before = new Map<string, Buffer | undefined>();
    const set = (key: string, digest: Buffer | undefined) => {
      const old = this.#digests.get(key);
      if (!before.has(key)) before.set(key, old);
      this.#replace(key, old, digest);
    };
    for (const { kind, id } of removals) set(resourceKey(kind, id), undefined);
    for (const resource of puts) {
      const digest = createHash('sha256').update(resourceText(resource)).digest();
      set(resourceKey(resource.kind, resource.id), digest);
    }
    return () => {
      for (const [key, digest] of before) this.#replace(key, this.#digests.get(key), digest);
    };
  }

  /** 43 characters. */
  get text(): string {
    return this.#sum.toString('base64url');
  }

  #replace(key: string, old: Buffer | undefined, digest: Buffer | undefined): void {
    if (old !== undefined) this.#add(old);
    if (digest === undefined) this.#digests.delete(key);
    else {
      this.#digests.set(key, digest);
      this.#add(digest);
    }
  }

  #add(digest: Buffer): void {
    for (let index = 0; index < BYTES; index++) this.#sum[index] ^= digest[index];
  }
}
