import { isObject } from '../lib/json.ts';
import type { GroupMember, PluginSchemas } from './plugin-schema.ts';
import { referencesOf } from './references.ts';
import type { Kind, Resource, Value } from './resource.ts';
import { resources } from './resources.ts';

/** A resource that uses another. */
export interface User {
  readonly kind: Kind;
  readonly id: string;
  /** Only a Plugin's config names it. */
  readonly inPlugin: boolean;
}

/** A credential: what the Plugin looks it up by. */
export interface Identity {
  readonly plugin: string;
  readonly identity: string;
}

/** `kind/id`: unique among all resources. */
export function resourceKey(kind: Kind, id: string): string {
  return `${kind}/${id}`;
}

/** Whose a Consumer's or Credential's identities are. */
export function usernameOf({ id }: Pick<Resource, 'id'>): string {
  return id.split('/', 1)[0];
}

/** The identities that a Consumer or Credential claims. */
export function identitiesOf({ kind, value }: Resource, plugins: PluginSchemas): Identity[] {
  const role = resources[kind].plugins;
  if ((role !== 'consumer' && role !== 'credential') || !isObject(value.plugins)) return [];
  const found: Identity[] = [];
  for (const [plugin, config] of Object.entries(value.plugins)) {
    const identity = plugins.identity(plugin, isObject(config) ? config : {});
    if (identity !== undefined) found.push({ plugin, identity });
  }
  return found;
}

/** The groups that a resource's Bindings belong to. */
export function groupMembersOf({ kind, value }: Resource, plugins: PluginSchemas): GroupMember[] {
  const role = resources[kind].plugins;
  if (role === 'none' || !isObject(value.plugins)) return [];
  return Object.entries(value.plugins)
    .filter(([plugin]) => !plugins.isCredential(plugin, role))
    .map(([plugin, config]) => plugins.groupMember(plugin, isObject(config) ? config : {}))
    .filter((member) => member !== undefined);
}

/** What a Binding is refused with whose config differs from that of its group, as in APISIX. */
export function groupMismatch(plugin: string): string {
  return `failed to check the configuration of plugin ${plugin} err: group conf mismatched`;
}

/**
 * What must be known about a set of resources without walking them: who uses whom, who owns which
 * credential, which Credentials a Consumer has. Adding or removing one resource costs its own size.
 */
export class ResourceIndex {
  readonly #plugins: PluginSchemas;
  readonly #users = new Map<string, Map<string, User>>();
  readonly #owners = new Map<string, Map<string, string>>();
  readonly #credentials = new Map<string, Set<string>>();
  readonly #groups = new Map<string, Map<string, Value>>();

  constructor(plugins: PluginSchemas) {
    this.#plugins = plugins;
  }

  add(resource: Resource): void {
    const { kind, id, value } = resource;
    const key = resourceKey(kind, id);
    for (const reference of referencesOf(kind, value, this.#plugins)) {
      const target = resourceKey(reference.kind, reference.id);
      let users = this.#users.get(target);
      if (users === undefined) this.#users.set(target, (users = new Map()));
      const inPlugin = reference.inPlugin && (users.get(key)?.inPlugin ?? true);
      users.set(key, { kind, id, inPlugin });
    }
    for (const { plugin, identity } of identitiesOf(resource, this.#plugins)) {
      let owners = this.#owners.get(plugin);
      if (owners === undefined) this.#owners.set(plugin, (owners = new Map()));
      owners.set(identity, key);
    }
    for (const member of groupMembersOf(resource, this.#plugins)) {
      const name = groupName(member);
      let members = this.#groups.get(name);
      if (members === undefined) this.#groups.set(name, (members = new Map()));
      members.set(key, member.config);
    }
    if (kind === 'credentials') {
      const username = usernameOf(resource);
      const ids = this.#credentials.get(username);
      if (ids === undefined) this.#credentials.set(username, new Set([id]));
      else ids.add(id);
    }
  }

  /** Takes back what `add` of the same resource did. */
  remove(resource: Resource): void {
    const { kind, id, value } = resource;
    const key = resourceKey(kind, id);
    for (const reference of referencesOf(kind, value, this.#plugins)) {
      const target = resourceKey(reference.kind, reference.id);
      const users = this.#users.get(target);
      if (users?.delete(key) && users.size === 0) this.#users.delete(target);
    }
    for (const { plugin, identity } of identitiesOf(resource, this.#plugins)) {
      const owners = this.#owners.get(plugin);
      if (owners?.get(identity) === key) owners.delete(identity);
      if (owners?.size === 0) this.#owners.delete(plugin);
    }
    for (const member of groupMembersOf(resource, this.#plugins)) {
      const name = groupName(member);
      const members = this.#groups.get(name);
      if (members?.delete(key) && members.size === 0) this.#groups.delete(name);
    }
    if (kind === 'credentials') {
      const username = usernameOf(resource);
      const ids = this.#credentials.get(username);
      if (ids?.delete(id) && ids.size === 0) this.#credentials.delete(username);
    }
  }

  /** Who uses a resource, in the order in which they began to. */
  users(kind: Kind, id: string): Iterable<User> {
    return this.#users.get(resourceKey(kind, id))?.values() ?? [];
  }

  /** The key of the resource that owns a credential. */
  owner({ plugin, identity }: Identity): string | undefined {
    return this.#owners.get(plugin)?.get(identity);
  }

  /** The Bindings of a group: key of the resource, config with defaults. */
  members(member: Pick<GroupMember, 'plugin' | 'group'>): Iterable<readonly [key: string, config: Value]> {
    return this.#groups.get(groupName(member)) ?? [];
  }

  /** The ids of a Consumer's Credentials. */
  credentials(username: string): Iterable<string> {
    return this.#credentials.get(username) ?? [];
  }

  /** The whole content in a comparable form, for tests. */
  toJSON(): unknown {
    const sorted = <T>(map: Map<string, T>, show: (value: T) => unknown) =>
      Object.fromEntries(
        [...map].map(([key, value]) => [key, show(value)] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)),
      );
    return {
      users: sorted(this.#users, (users) => sorted(users, (user) => user)),
      owners: sorted(this.#owners, (owners) => sorted(owners, (owner) => owner)),
      credentials: sorted(this.#credentials, (ids) => [...ids].toSorted()),
      groups: sorted(this.#groups, (members) => sorted(members, (config) => config)),
    };
  }
}

function groupName({ plugin, group }: Pick<GroupMember, 'plugin' | 'group'>): string {
  return JSON.stringify([plugin, group]);
}
