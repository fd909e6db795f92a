import type { Resource, Value } from '../model/resource.ts';
import type { Consumer, CredentialIndex, CredentialMatch } from '../plugin/consumer.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import { type Binding, mergeBindings, NO_BINDINGS } from './binding.ts';

/** Makes the Bindings of a `plugins` object at a place. */
export type BindingMaker = (plugins: Value | undefined, place: Binding['place']) => readonly Binding[];

class KnownConsumer implements Consumer {
  readonly username: string;
  readonly groupId: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly customId: string | undefined;
  readonly own: readonly Binding[];
  /** The last merge with the group's Bindings, and of which. */
  merged: readonly Binding[] | undefined;
  mergedWith: readonly Binding[] | undefined;

  constructor(value: Value, own: readonly Binding[]) {
    this.username = value.username as string;
    this.groupId = value.group_id === undefined ? undefined : String(value.group_id);
    this.labels = (value.labels as Record<string, string> | undefined) ?? {};
    this.customId = this.labels.custom_id;
    this.own = own;
  }
}

/**
 * All Consumers and their Credentials, found by identity. A change touches what it names and
 * nothing else: 50 000 Consumers standing, one revoked.
 */
export class Consumers {
  readonly #plugins: ReadonlyMap<string, Plugin>;
  readonly #makeBindings: BindingMaker;
  readonly #consumers = new Map<string, KnownConsumer>();
  readonly #groups = new Map<string, readonly Binding[]>();
  /** By auth Plugin, by identity. */
  readonly #matches = new Map<string, Map<string, CredentialMatch>>();
  /** What each Consumer or Credential resource put into #matches. */
  readonly #entries = new Map<string, { plugin: string; identity: string; match: CredentialMatch }[]>();
  /** Credentials (by key) of each username, so that they follow when the Consumer changes. */
  readonly #credentials = new Map<string, Map<string, Resource>>();

  constructor(plugins: ReadonlyMap<string, Plugin>, makeBindings: BindingMaker) {
    this.#plugins = plugins;
    this.#makeBindings = makeBindings;
  }

  putGroup(resource: Resource): void {
    const plugins = resource.value.plugins as Value | undefined;
    this.#groups.set(resource.id, this.#makeBindings(plugins, { kind: 'consumer_groups', id: resource.id }));
  }

  removeGroup(id: string): void {
    this.#groups.delete(id);
  }

  putConsumer(resource: Resource): void {
    const { id, value } = resource;
    const plugins = (value.plugins as Record<string, Value> | undefined) ?? {};
    const policies = Object.fromEntries(
      Object.entries(plugins).filter(([name]) => !this.#authenticates(name)),
    );
    const own = this.#makeBindings(policies, { kind: 'consumers', id });
    const consumer = new KnownConsumer({ ...value, username: id }, own);
    this.#consumers.set(id, consumer);
    this.#enter(id, consumer, undefined, plugins);
    for (const credential of this.#credentials.get(id)?.values() ?? [])
      this.#enterCredential(credential, consumer);
  }

  removeConsumer(username: string): void {
    this.#consumers.delete(username);
    this.#leave(username);
    for (const key of this.#credentials.get(username)?.keys() ?? []) this.#leave(key);
  }

  putCredential(resource: Resource): void {
    const username = resource.id.slice(0, resource.id.indexOf('/'));
    let credentials = this.#credentials.get(username);
    if (credentials === undefined) this.#credentials.set(username, (credentials = new Map()));
    credentials.set(resource.id, resource);
    const consumer = this.#consumers.get(username);
    if (consumer !== undefined) this.#enterCredential(resource, consumer);
  }

  removeCredential(id: string): void {
    const username = id.slice(0, id.indexOf('/'));
    this.#leave(id);
    const credentials = this.#credentials.get(username);
    credentials?.delete(id);
    if (credentials?.size === 0) this.#credentials.delete(username);
  }

  /** The credentials of one Plugin, live. */
  indexFor(plugin: string): CredentialIndex {
    const matches = this.#matchesOf(plugin);
    return {
      find: (identity) => matches.get(identity),
      consumer: (username) => {
        const consumer = this.#consumers.get(username);
        return consumer && { consumer, credentialId: undefined, config: {} };
      },
    };
  }

  /** Consumer over group; the same array as long as neither changes. */
  bindingsOf(consumer: Consumer): readonly Binding[] {
    const known = consumer as KnownConsumer;
    const group = known.groupId === undefined ? undefined : this.#groups.get(known.groupId);
    if (group === undefined || group.length === 0) return known.own;
    if (known.mergedWith !== group) {
      known.mergedWith = group;
      known.merged = Object.freeze(mergeBindings(known.own, group));
    }
    return known.own.length === 0 ? group : known.merged!;
  }

  #authenticates(plugin: string): boolean {
    return this.#plugins.get(plugin)?.credential !== undefined;
  }

  #enterCredential(resource: Resource, consumer: Consumer): void {
    const id = resource.id.slice(resource.id.indexOf('/') + 1);
    this.#enter(
      resource.id,
      consumer,
      id,
      (resource.value.plugins as Record<string, Value> | undefined) ?? {},
    );
  }

  #enter(
    key: string,
    consumer: Consumer,
    credentialId: string | undefined,
    plugins: Record<string, Value>,
  ): void {
    this.#leave(key);
    const entries: { plugin: string; identity: string; match: CredentialMatch }[] = [];
    for (const [name, config] of Object.entries(plugins)) {
      const credential = this.#plugins.get(name)?.credential;
      if (credential === undefined) continue;
      const identity = credential.identity(config);
      const match = { consumer, credentialId, config };
      this.#matchesOf(name).set(identity, match);
      entries.push({ plugin: name, identity, match });
    }
    if (entries.length > 0) this.#entries.set(key, entries);
  }

  #leave(key: string): void {
    for (const { plugin, identity, match } of this.#entries.get(key) ?? []) {
      const matches = this.#matchesOf(plugin);
      // Within one Change a credential may have moved to another owner already.
      if (matches.get(identity) === match) matches.delete(identity);
    }
    this.#entries.delete(key);
  }

  #matchesOf(plugin: string): Map<string, CredentialMatch> {
    let matches = this.#matches.get(plugin);
    if (matches === undefined) this.#matches.set(plugin, (matches = new Map()));
    return matches;
  }
}

export { NO_BINDINGS };
