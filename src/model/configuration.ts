import { deepCopy, deepEqual, deepFreeze } from '../lib/json.ts';
import { Batch, publicId, publicKey } from './batch.ts';
import type { Change } from './change.ts';
import type { Failure } from './failure.ts';
import type { Answer, Operation } from './operation.ts';
import { type PluginDefinition, PluginSchemas } from './plugin-schema.ts';
import { DEFAULT_WORKSPACE, type Kind, type Resource, type Revision, type Value } from './resource.ts';
import { ResourceIndex, resourceKey } from './resource-index.ts';
import type { Sealing } from './sealing.ts';
import { openValue, sealValue } from './secret-fields.ts';
import { Snapshot } from './snapshot.ts';
import { checkWhole, type LoadError, positionsOf } from './whole-check.ts';

export interface ConfigurationOptions {
  readonly plugins: readonly PluginDefinition[];
  readonly sealing: Sealing;
  /** Unix milliseconds. */
  readonly clock?: { now(): number };
  /** Why an expression (`vars`) is wrong, or undefined. */
  readonly expression?: (expression: readonly unknown[]) => string | undefined;
}

/** A resource as a file has it: not yet written, so without revisions. */
export interface WrittenResource {
  readonly kind: Kind;
  /** As in Resource; empty where the file gives none, which is then the error. */
  readonly id: string;
  readonly value: Value;
}

/** An operation that was accepted: what to do and what to say once it is done. */
export interface Plan {
  readonly ok: true;
  readonly change: Change;
  readonly answer: Answer;
}

/**
 * The configuration and its single writer.
 *
 * Lifecycle of a write: 1. `plan` (or `batch` for several at once) checks it and changes nothing;
 * 2. the Store keeps `sealed(change)`; 3. `commit(change)`; 4. the Change goes to the workers, with
 * secrets in plain. Between 1 and 3 nothing else may be planned outside the same Batch.
 */
export class Configuration {
  readonly snapshot = new Snapshot();
  #plugins: PluginSchemas;
  #index: ResourceIndex;
  readonly sealing: Sealing;
  readonly clock: { now(): number };
  readonly expression: (expression: readonly unknown[]) => string | undefined;
  readonly #mortal = new Map<string, Resource>();
  // Sealing costs a cipher for each secret, and lists show the same resources again and again.
  #sealedValues = new WeakMap<Resource, Value>();

  constructor({ plugins, sealing, clock = Date, expression = () => undefined }: ConfigurationOptions) {
    this.#plugins = new PluginSchemas(plugins);
    this.sealing = sealing;
    this.clock = clock;
    this.expression = expression;
    this.#index = new ResourceIndex(this.#plugins);
  }

  get plugins(): PluginSchemas {
    return this.#plugins;
  }

  get index(): ResourceIndex {
    return this.#index;
  }

  get revision(): Revision {
    return this.snapshot.revision;
  }

  nowSeconds(): number {
    return Math.floor(this.clock.now() / 1000);
  }

  /** Begins planning operations that are to be written together. */
  batch(): Batch {
    return new Batch(this);
  }

  /** Plans one operation. */
  plan(operation: Operation): Plan | Failure {
    const batch = this.batch();
    const answer = batch.plan(operation);
    return answer.ok ? { ok: true, change: batch.change, answer } : answer;
  }

  /** Takes a planned Change into the Snapshot. Costs its size. */
  commit(change: Change): void {
    for (const { kind, id } of change.removals) this.#forget(kind, id);
    for (const { kind, id } of change.puts) this.#forget(kind, id);
    this.snapshot.apply(change);
    for (const resource of change.puts) this.#learn(resource);
  }

  /** The Change with its secrets sealed, for the Store. */
  sealed(change: Change): Change {
    return {
      ...change,
      puts: change.puts.map((resource) => ({ ...resource, value: this.#sealedValue(resource) })),
    };
  }

  /** A resource's value as anyone may see it: secrets sealed, private keys of SSLs left out. */
  shown(resource: Resource): Value {
    const value = this.#sealedValue(resource);
    if (resource.kind !== 'ssls') return value;
    const { key: _key, keys: _keys, ...rest } = value;
    return rest;
  }

  /** A resource as the Admin API shows it: `{key, value, createdIndex, modifiedIndex}`. */
  envelope(resource: Resource): Readonly<Record<string, unknown>> {
    return {
      key: publicKey(resource.kind, resource.id),
      value: this.shown(resource),
      createdIndex: resource.createdRevision,
      modifiedIndex: resource.modifiedRevision,
    };
  }

  /** The resources whose time to live has passed. */
  expired(): Resource[] {
    const now = this.clock.now();
    return [...this.#mortal.values()].filter(({ expiresAt }) => expiresAt !== undefined && expiresAt <= now);
  }

  /** Unix milliseconds at which the next resource expires, or undefined. */
  nextExpiry(): number | undefined {
    let next: number | undefined;
    for (const { expiresAt = Number.POSITIVE_INFINITY } of this.#mortal.values()) {
      if (next === undefined || expiresAt < next) next = expiresAt;
    }
    return next;
  }

  /**
   * Takes what a Store holds, all of it or, when there are errors, nothing. References to absent
   * resources are no errors here: a forced deletion leaves them behind.
   */
  load(content: { readonly revision: Revision; readonly resources: readonly Resource[] }): LoadError[] {
    const errors: LoadError[] = [];
    const positions = positionsOf(content.resources);
    const opened = content.resources.map((resource, index): Resource => {
      const result = openValue(resource, this.plugins, this.sealing);
      if (!result.ok) errors.push(errorOf(resource, positions[index], result));
      return deepFreeze({ ...resource, value: result.ok ? result.value : resource.value });
    });
    errors.push(...checkWhole(opened, this, false));
    const puts = opened.toSorted((left, right) => left.createdRevision - right.createdRevision);
    if (errors.length === 0) this.commit({ revision: content.revision, puts, removals: [] });
    return errors;
  }

  /**
   * Checks a whole configuration, as a file has it, and gives the Change that leads there from the
   * present one. Resources that stay the same are not in it.
   */
  replace(written: readonly WrittenResource[]): { readonly ok: true; readonly change: Change } | LoadErrors {
    const revision = this.revision + 1;
    const errors: LoadError[] = [];
    const positions = positionsOf(written);
    const wanted = written.map((one, index): Resource => {
      const result = openValue(one, this.plugins, this.sealing);
      if (!result.ok) errors.push(errorOf(one, positions[index], result));
      return deepFreeze({
        kind: one.kind,
        id: one.id,
        workspace: DEFAULT_WORKSPACE,
        createdRevision: revision,
        modifiedRevision: revision,
        value: deepCopy(withId(one.kind, one.id, result.ok ? result.value : one.value)),
      });
    });
    errors.push(...checkWhole(wanted, this, true));
    if (errors.length > 0) return { ok: false, errors };
    const keys = new Set(wanted.map(({ kind, id }) => resourceKey(kind, id)));
    const puts = wanted
      .filter(({ kind, id, value }) => !deepEqual(this.snapshot.get(kind, id)?.value, value))
      .map((resource) => ({
        ...resource,
        createdRevision: this.snapshot.get(resource.kind, resource.id)?.createdRevision ?? revision,
      }));
    const removals = this.snapshot
      .all()
      .filter(({ kind, id }) => !keys.has(resourceKey(kind, id)))
      .map(({ kind, id }) => ({ kind, id }));
    const changed = puts.length + removals.length > 0;
    return { ok: true, change: { revision: changed ? revision : this.revision, puts, removals } };
  }

  /**
   * Goes on with other Plugins, for example after a user's own was loaded again. When a standing
   * resource does not fit them, the errors say so and nothing changes.
   */
  usePlugins(definitions: readonly PluginDefinition[]): LoadError[] {
    const plugins = new PluginSchemas(definitions);
    const all = this.snapshot.all();
    const errors = checkWhole(all, { plugins, expression: this.expression }, false);
    if (errors.length > 0) return errors;
    this.#plugins = plugins;
    this.#index = new ResourceIndex(plugins);
    for (const resource of all) this.#index.add(resource);
    this.#sealedValues = new WeakMap();
    return [];
  }

  #sealedValue(resource: Resource): Value {
    let value = this.#sealedValues.get(resource);
    if (value === undefined) {
      value = sealValue(resource, this.plugins, this.sealing);
      this.#sealedValues.set(resource, value);
    }
    return value;
  }

  #forget(kind: Kind, id: string): void {
    const before = this.snapshot.get(kind, id);
    if (before === undefined) return;
    this.index.remove(before);
    this.#mortal.delete(resourceKey(kind, id));
  }

  #learn(resource: Resource): void {
    this.index.add(resource);
    if (resource.expiresAt !== undefined) this.#mortal.set(resourceKey(resource.kind, resource.id), resource);
  }
}

function withId(kind: Kind, id: string, value: Value): Value {
  return kind === 'consumers' ? value : { ...value, id: publicId(kind, id, value) };
}

interface LoadErrors {
  readonly ok: false;
  readonly errors: readonly LoadError[];
}

function errorOf(
  { kind, id }: WrittenResource | Resource,
  index: number,
  { message, path }: Failure,
): LoadError {
  return { kind, id, index, path, message };
}
