// Finds the entry for a request. The order is total, and no matter when an entry was added:
//
//   1. host: the exact name; then wildcards, the longest suffix first; then entries of any host;
//   2. path: exact; then parameters; then prefixes, the longest first (src/lib/path-tree.ts);
//   3. the higher priority;
//   4. the greater id, by code unit: of the ids that the Admin API gives out, the newer one.
//
// An entry that doesn't accept the request makes way for the next one; so does a whole class of hosts.
// `*.bar.com` stands for `foo.bar.com` and `a.foo.bar.com`, not for `bar.com`.
//
// Entries come and go one by one: a change costs what its own hosts and uris cost, however many others
// there are. An entry must not change while it is in the Router.

import { parsePathPattern, shapeOf } from '../lib/path-pattern.ts';
import { PathTree } from '../lib/path-tree.ts';

export interface RouterEntry<S> {
  readonly id: string;
  /** In lower case; `*.bar.com` is a wildcard; none means any host. */
  readonly hosts: readonly string[];
  readonly uris: readonly string[];
  readonly priority: number;
  /**
   * Whether everything beyond host and path fits: method, remote address, vars, status… Runs on every
   * request that gets this far, and must not ask the Router itself.
   */
  accepts(subject: S): boolean;
}

/** An entry whose host and path match, and by which of its patterns. */
export interface Candidate<E> {
  readonly entry: E;
  /** Undefined for an entry of any host. */
  readonly host: string | undefined;
  readonly uri: string;
}

export class Router<S, E extends RouterEntry<S> = RouterEntry<S>> {
  readonly #entries = new Map<string, E>();
  readonly #exactHosts = new Map<string, PathTree<S, E>>();
  /** By the text after the star. */
  readonly #wildcards = new Map<string, PathTree<S, E>>();
  /** How many wildcards there are of each length after the star: other lengths need no look-up. */
  readonly #wildcardLengths: number[] = [];
  readonly #anyHost = new PathTree<S, E>();
  #entriesWithHosts = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** Whether any entry asks for the host; if none does, `match` doesn't read it. */
  get hasHosts(): boolean {
    return this.#entriesWithHosts > 0;
  }

  get(id: string): E | undefined {
    return this.#entries.get(id);
  }

  /** Adds an entry, in place of the one with the same id. */
  add(entry: E): void {
    this.remove(entry.id);
    this.#entries.set(entry.id, entry);
    if (entry.hosts.length === 0) addTo(this.#anyHost, entry);
    else this.#entriesWithHosts += 1;
    for (const host of entry.hosts) addTo(this.#treeFor(host), entry);
  }

  /** Takes an entry out; nothing happens if there is none of this id. */
  remove(id: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    if (entry.hosts.length === 0) removeFrom(this.#anyHost, entry);
    else this.#entriesWithHosts -= 1;
    for (const host of entry.hosts) {
      const [trees, key] = this.#place(host);
      const tree = trees.get(key);
      if (!tree) continue;
      removeFrom(tree, entry);
      if (!tree.isEmpty) continue;
      trees.delete(key);
      if (trees === this.#wildcards) this.#wildcardLengths[key.length] -= 1;
    }
  }

  /**
   * The best entry for a request, or undefined.
   *
   * @param host in lower case, without port.
   * @param path normalised, without query.
   */
  match(host: string, path: string, subject: S): E | undefined {
    if (this.#entriesWithHosts > 0) {
      const exact = this.#exactHosts.get(host)?.find(path, subject);
      if (exact !== undefined) return exact;
      if (this.#wildcards.size > 0) {
        // From the second character on, as the star stands for at least one.
        for (let start = 1; start <= host.length; start++) {
          if (!(this.#wildcardLengths[host.length - start] > 0)) continue;
          const entry = this.#wildcards.get(host.slice(start))?.find(path, subject);
          if (entry !== undefined) return entry;
        }
      }
    }
    return this.#anyHost.find(path, subject);
  }

  /** Each entry whose host and path match, once, best first, whether or not it accepts. For explaining. */
  *candidates(host: string, path: string): Generator<Candidate<E>> {
    const seen = new Set<E>();
    for (const [pattern, tree] of this.#treesMatching(host)) {
      for (const { shape, entries } of tree.matching(path)) {
        for (const entry of entries) {
          if (seen.has(entry)) continue;
          seen.add(entry);
          const uri = entry.uris.find((text) => shapeOf(parsePathPattern(text)) === shape);
          yield { entry, host: pattern, uri: uri ?? shape };
        }
      }
    }
  }

  #treesMatching(host: string): [pattern: string | undefined, tree: PathTree<S, E>][] {
    const trees: [string | undefined, PathTree<S, E>][] = [];
    const exact = this.#exactHosts.get(host);
    if (exact) trees.push([host, exact]);
    for (let start = 1; start <= host.length; start++) {
      const wildcard = this.#wildcards.get(host.slice(start));
      if (wildcard) trees.push([`*${host.slice(start)}`, wildcard]);
    }
    trees.push([undefined, this.#anyHost]);
    return trees;
  }

  #place(host: string): [trees: Map<string, PathTree<S, E>>, key: string] {
    return host.startsWith('*') ? [this.#wildcards, host.slice(1)] : [this.#exactHosts, host];
  }

  #treeFor(host: string): PathTree<S, E> {
    const [trees, key] = this.#place(host);
    let tree = trees.get(key);
    if (!tree) {
      trees.set(key, (tree = new PathTree()));
      if (trees === this.#wildcards) {
        // Filled up, so that the array stays without holes.
        while (this.#wildcardLengths.length <= key.length) this.#wildcardLengths.push(0);
        this.#wildcardLengths[key.length] += 1;
      }
    }
    return tree;
  }
}

function addTo<S, E extends RouterEntry<S>>(tree: PathTree<S, E>, entry: E): void {
  for (const uri of entry.uris) tree.add(uri, entry);
}

function removeFrom<S, E extends RouterEntry<S>>(tree: PathTree<S, E>, entry: E): void {
  for (const uri of entry.uris) tree.remove(uri, entry);
}
