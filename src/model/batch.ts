// Operations planned one after the other before any of them is durable. Each sees the effect of
// those before it, and nobody else sees any of them until the whole Change is stored and committed:
// so one write to the Store can carry many operations, and a failed one leaves nothing behind.

import { deepCopy, deepEqual, deepFreeze, isObject, type JsonObject } from '../lib/json.ts';
import type { Change, Removal } from './change.ts';
import type { Configuration } from './configuration.ts';
import { type Failure, KEY_NOT_FOUND, refuse } from './failure.ts';
import type { Answer, Operation } from './operation.ts';
import { mergePatch, patchAt } from './patch.ts';
import { DEFAULT_WORKSPACE, type Kind, type Resource, type Value } from './resource.ts';
import { checkResource } from './resource-check.ts';
import {
  groupMembersOf,
  groupMismatch,
  identitiesOf,
  ResourceIndex,
  resourceKey,
  type User,
  usernameOf,
} from './resource-index.ts';
import { resources } from './resources.ts';
import { openValue } from './secret-fields.ts';

interface Staged {
  readonly kind: Kind;
  readonly id: string;
  /** It stood before the batch, or a removal came in between: a put must go to the end of the order. */
  readonly removed: boolean;
  readonly resource: Resource | undefined;
}

/** The kinds whose use of an Upstream or Service blocks its deletion, in the order APISIX looks. */
const USER_ORDER: readonly Kind[] = [
  'routes',
  'services',
  'plugin_configs',
  'consumers',
  'consumer_groups',
  'global_rules',
  'stream_routes',
  'upstreams',
];

export class Batch {
  readonly #configuration: Configuration;
  readonly #index: ResourceIndex;
  readonly #staged = new Map<string, Staged>();
  #revision: number;

  constructor(configuration: Configuration) {
    this.#configuration = configuration;
    this.#index = new ResourceIndex(configuration.plugins);
    this.#revision = configuration.snapshot.revision;
  }

  /** Nothing was planned that changes anything. */
  get isEmpty(): boolean {
    return this.#staged.size === 0;
  }

  /** All that was planned, as one step. Removals come before puts: a resource may be in both. */
  get change(): Change {
    const staged = [...this.#staged.values()];
    return {
      revision: this.#revision,
      removals: staged.filter(({ removed }) => removed).map(({ kind, id }): Removal => ({ kind, id })),
      puts: staged
        .map(({ resource }) => resource)
        .filter((resource) => resource !== undefined)
        .toSorted((left, right) => left.createdRevision - right.createdRevision),
    };
  }

  /** Plans one operation on top of those before it. A refused one leaves the batch as it was. */
  plan(operation: Operation): Answer | Failure {
    switch (operation.type) {
      case 'create':
      case 'put':
        return this.#write(operation);
      case 'patch':
      case 'patch-path':
        return this.#patch(operation);
      case 'delete':
        return this.#delete(operation.kind, operation.id, operation.force === true);
      case 'expire':
        return this.#expire();
    }
  }

  get(kind: Kind, id: string): Resource | undefined {
    const staged = this.#staged.get(resourceKey(kind, id));
    return staged === undefined ? this.#configuration.snapshot.get(kind, id) : staged.resource;
  }

  #write({ type, kind, id, value, ttl }: Extract<Operation, { type: 'create' | 'put' }>): Answer | Failure {
    const { noun, unsupported } = resources[kind];
    if (type === 'create' && unsupported.includes('POST')) {
      return refuse(`not supported \`POST\` method for ${noun}`, [], 405);
    }
    if (value === undefined) return refuse('missing configurations');
    if (!isObject(value))
      return refuse('invalid configuration: wrong type: expected object, got ' + typeName(value));
    const target = type === 'create' ? this.#newId(kind, id, value) : identify(kind, id, value);
    if (typeof target !== 'string') return target;
    const forbidden = forbiddenProperty(value);
    if (forbidden !== undefined)
      return refuse(`the property is forbidden:  ${forbidden}`, forbidden.split('.'));
    return this.#put(kind, target, value, ttl);
  }

  #patch(operation: Extract<Operation, { type: 'patch' | 'patch-path' }>): Answer | Failure {
    const { kind, id, value } = operation;
    const { noun, unsupported } = resources[kind];
    if (unsupported.includes('PATCH')) return refuse(`not supported \`PATCH\` method for ${noun}`, [], 405);
    if (id === undefined) return refuse(`missing ${noun} id`);
    if (value === undefined) return refuse('missing new configuration');
    if (operation.type === 'patch' && !isObject(value)) return refuse('invalid configuration');
    const before = this.get(kind, id);
    if (before === undefined) return KEY_NOT_FOUND;
    const after =
      operation.type === 'patch'
        ? mergePatch(before.value, value as JsonObject)
        : patchAt(before.value, operation.path, value);
    if (typeof after === 'string') return refuse(after);
    if (operation.type === 'patch-path' || (value as JsonObject).update_time === undefined) {
      after.update_time = this.#configuration.nowSeconds();
    }
    const target = identify(kind, id, after);
    return typeof target === 'string' ? this.#put(kind, target, after, operation.ttl) : target;
  }

  /** Checks and stages a value. Its times are set unless they are there already. */
  #put(kind: Kind, id: string, sent: Readonly<JsonObject>, ttl: number | undefined): Answer | Failure {
    const before = this.get(kind, id);
    const opened = openValue(
      { kind, id, value: this.#dressed(kind, id, sent, before) },
      this.#configuration.plugins,
      this.#configuration.sealing,
    );
    if (!opened.ok) return opened;
    const { value } = opened;
    const failed = checkResource(kind, id, value, {
      plugins: this.#configuration.plugins,
      expression: this.#configuration.expression,
      lookup: (targetKind, targetId) => this.get(targetKind, targetId),
    });
    if (failed !== undefined) return failed;
    const resource: Resource = deepFreeze({
      kind,
      id,
      workspace: before?.workspace ?? DEFAULT_WORKSPACE,
      createdRevision: before?.createdRevision ?? this.#revision + 1,
      modifiedRevision: this.#revision + 1,
      ...(ttl !== undefined && { expiresAt: this.#configuration.clock.now() + ttl * 1000 }),
      value: deepCopy(value),
    });
    const duplicate = this.#duplicate(resource);
    if (duplicate !== undefined) return duplicate;
    const mismatch = this.#mismatch(resource);
    if (mismatch !== undefined) return mismatch;
    if (kind === 'credentials' && this.get('consumers', usernameOf(resource)) === undefined) {
      return refuse('consumer not found', [], 404);
    }
    this.#revision += 1;
    this.#stage(kind, id, resource);
    return {
      ok: true,
      status: before === undefined ? 201 : 200,
      body: { key: publicKey(kind, id), value: this.#configuration.shown(resource) },
    };
  }

  /** The value with its id and times as they are stored. */
  #dressed(kind: Kind, id: string, sent: Readonly<JsonObject>, before: Resource | undefined): Value {
    if (kind === 'plugin_metadata') return { ...sent, id };
    const now = this.#configuration.nowSeconds();
    return {
      ...sent,
      ...(kind !== 'consumers' && { id: publicId(kind, id, sent) }),
      create_time: sent.create_time ?? before?.value.create_time ?? now,
      update_time: sent.update_time ?? now,
    };
  }

  #newId(kind: Kind, id: string | undefined, value: Readonly<JsonObject>): string | Failure {
    if (id !== undefined || value.id !== undefined) {
      return refuse(`wrong ${resources[kind].noun} id, do not need it`, ['id']);
    }
    let number = this.#revision;
    while (this.get(kind, String(number).padStart(20, '0')) !== undefined) number += 1;
    return String(number).padStart(20, '0');
  }

  #duplicate(resource: Resource): Failure | undefined {
    const own = resourceKey(resource.kind, resource.id);
    for (const claimed of identitiesOf(resource, this.#configuration.plugins)) {
      const owner = this.#index.owner(claimed) ?? this.#standing(this.#configuration.index.owner(claimed));
      if (owner === undefined || owner === own) continue;
      const username = owner.slice(owner.indexOf('/') + 1).split('/')[0];
      return refuse(`duplicate key of plugin ${claimed.plugin} found with consumer: ${username}`, [
        'plugins',
        claimed.plugin,
      ]);
    }
    return undefined;
  }

  #mismatch(resource: Resource): Failure | undefined {
    const own = resourceKey(resource.kind, resource.id);
    for (const member of groupMembersOf(resource, this.#configuration.plugins)) {
      const differs = ([key, config]: readonly [string, Value]) =>
        key !== own && !deepEqual(config, member.config);
      const standing = [...this.#configuration.index.members(member)].filter(
        ([key]) => !this.#staged.has(key),
      );
      if (standing.some(differs) || [...this.#index.members(member)].some(differs)) {
        return refuse(groupMismatch(member.plugin), ['plugins', member.plugin]);
      }
    }
    return undefined;
  }

  /** A key of the committed state, unless this batch has replaced what it said. */
  #standing(key: string | undefined): string | undefined {
    return key === undefined || this.#staged.has(key) ? undefined : key;
  }

  #delete(kind: Kind, id: string | undefined, force: boolean): Answer | Failure {
    const { noun, inUse } = resources[kind];
    if (id === undefined) return refuse(`missing ${noun} id`);
    if (this.get(kind, id) === undefined) return KEY_NOT_FOUND;
    const user = force ? undefined : this.#firstUser(kind, id);
    if (user !== undefined) {
      const { label } = resources[user.kind];
      const where = user.inPlugin ? 'plugin in ' : '';
      return refuse(`can not delete ${inUse}, ${where}${label} [${user.id}] is still using it now`);
    }
    this.#revision += 1;
    this.#remove(kind, id);
    return { ok: true, status: 200, body: { deleted: '1', key: publicKey(kind, id) } };
  }

  #firstUser(kind: Kind, id: string): User | undefined {
    let first: User | undefined;
    let rank = USER_ORDER.length;
    const consider = (user: User) => {
      const own = USER_ORDER.indexOf(user.kind);
      if (first === undefined || own < rank) [first, rank] = [user, own];
    };
    for (const user of this.#configuration.index.users(kind, id)) {
      if (this.#staged.has(resourceKey(user.kind, user.id))) continue;
      consider(user);
      if (rank === 0) return first;
    }
    for (const user of this.#index.users(kind, id)) consider(user);
    return first;
  }

  #remove(kind: Kind, id: string): void {
    if (kind === 'consumers') {
      const ids = [...this.#configuration.index.credentials(id), ...this.#index.credentials(id)];
      for (const credential of new Set(ids)) this.#stage('credentials', credential, undefined);
    }
    this.#stage(kind, id, undefined);
  }

  #expire(): Answer {
    const expired = this.#configuration.expired().filter(({ kind, id }) => {
      const standing = this.get(kind, id);
      return standing?.expiresAt !== undefined && standing.expiresAt <= this.#configuration.clock.now();
    });
    if (expired.length > 0) this.#revision += 1;
    for (const { kind, id } of expired) this.#remove(kind, id);
    return { ok: true, status: 200, body: { deleted: String(expired.length) } };
  }

  #stage(kind: Kind, id: string, resource: Resource | undefined): void {
    const key = resourceKey(kind, id);
    const before = this.#staged.get(key);
    if (before?.resource !== undefined) this.#index.remove(before.resource);
    const removed =
      before?.removed === true || (resource === undefined && this.#configuration.snapshot.has(kind, id));
    this.#staged.set(key, { kind, id, removed, resource });
    if (resource !== undefined) this.#index.add(resource);
  }
}

/** The resource's id from path and body, or why they don't fit. */
function identify(kind: Kind, id: string | undefined, value: Readonly<JsonObject>): string | Failure {
  const { noun } = resources[kind];
  if (kind === 'consumers') {
    const { username } = value;
    if (id !== undefined && username !== undefined && username !== id)
      return refuse('wrong username', ['username']);
    if (typeof username === 'string') return username;
    // Left to the schema, whose text says what is wrong with it.
    return id ?? '';
  }
  if (kind === 'plugin_metadata') return id ?? refuse('missing plugin name');
  const own = value.id === undefined || value.id === null ? undefined : String(value.id);
  if (id === undefined) return own ?? refuse(`missing ${noun} id`);
  const expected = kind === 'credentials' ? id.slice(id.indexOf('/') + 1) : id;
  return own === undefined || own === expected || own === id ? id : refuse(`wrong ${noun} id`, ['id']);
}

/** The `id` inside the value: as the path has it; a number stays one when only the body had it. */
export function publicId(kind: Kind, id: string, sent: Readonly<JsonObject>): unknown {
  if (kind === 'credentials') return id.slice(id.indexOf('/') + 1);
  return typeof sent.id === 'number' && String(sent.id) === id ? sent.id : id;
}

/** The key under which the Admin API shows a resource. */
export function publicKey(kind: Kind, id: string): string {
  if (kind !== 'credentials') return `/apisix/${kind}/${id}`;
  const slash = id.indexOf('/');
  return `/apisix/consumers/${id.slice(0, slash)}/credentials/${id.slice(slash + 1)}`;
}

function forbiddenProperty(value: Readonly<JsonObject>): string | undefined {
  for (const [prefix, place] of [
    ['', value],
    ['upstream.', value.upstream],
    ['plugins.', value.plugins],
  ] as const) {
    if (!isObject(place)) continue;
    for (const name of ['create_time', 'update_time']) {
      if (place[name] !== undefined && place[name] !== false) return prefix + name;
    }
  }
  return undefined;
}

function typeName(value: unknown): string {
  if (value === null) return 'userdata';
  return Array.isArray(value) ? 'table' : typeof value;
}
