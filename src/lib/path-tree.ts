// Finds the entries whose path pattern matches a path, in an order that doesn't depend on the order in
// which they came:
//
//   1. the pattern that is the path itself;
//   2. patterns with parameters and no `*`: at the leftmost difference, a literal beats a parameter;
//   3. patterns that end in `*`: the one that has consumed more of the path before its `*`; among
//      equals, at the leftmost difference, a literal beats a parameter;
//   4. among entries of the same pattern, the higher priority, then the greater id.
//
// Patterns of the first kind are in a map. All others share a radix tree, whose edges are literal texts
// or one parameter. `/api/*`, `/api/v1/a*`, `/api/v1/b/:id` and `/api/:version/` make
//
//   (root) ── "/api/" * ─┬─ "v1/" ─┬─ "a" *
//                        │         └─ "b/" ── :parameter .
//                        └─ :parameter ── "/" .
//
// where `*` and `.` are the buckets of entries whose pattern ends there with a star, or at the end of
// the path. A search walks down with the path, the literal first wherever a parameter would do too, so
// that it comes by the buckets of kind 2 in their order; those of kind 3 it sorts by what was consumed,
// which without parameters is the order of coming. It visits only nodes whose whole way down matches
// the path: their number depends on the depth of the patterns, not on how many there are.

import { isExact, parsePathPattern, segmentEnd, shapeOf } from './path-pattern.ts';
import { type Ranked, RankedBucket } from './ranked-bucket.ts';

const SLASH = 0x2f;

class Node<S, E extends Ranked<S>> {
  /** The text on the edge to this node; empty for the root and for parameters. */
  label: string;
  /**
   * The first character of each child's label, at the child's position. A string, as it takes a line
   * less of the processor's cache than an array: among 100 000 patterns, those misses are the cost.
   */
  firsts = '';
  children: Node<S, E>[] = [];
  parameter: Node<S, E> | undefined = undefined;
  end: RankedBucket<S, E> | undefined = undefined;
  star: RankedBucket<S, E> | undefined = undefined;

  constructor(label: string) {
    this.label = label;
  }

  get isUnused(): boolean {
    return !this.end && !this.star && !this.parameter && this.children.length === 0;
  }
}

export class PathTree<S, E extends Ranked<S>> {
  /** Nodes visited by all searches so far; tests hold the claim of flat cost against it. */
  visits = 0;
  readonly #exact = new Map<string, RankedBucket<S, E>>();
  readonly #root = new Node<S, E>('');
  // What the last search has found: reused, since a search must not allocate.
  readonly #ends: RankedBucket<S, E>[] = [];
  readonly #stars: RankedBucket<S, E>[] = [];
  /** How much of the path was consumed before the star of the bucket at the same position. */
  readonly #consumed: number[] = [];
  #endCount = 0;
  #starCount = 0;

  get isEmpty(): boolean {
    return this.#exact.size === 0 && this.#root.isUnused;
  }

  /** Adds the entry under a pattern; the same entry may stand under several. */
  add(text: string, entry: E): void {
    const pattern = parsePathPattern(text);
    const shape = shapeOf(pattern);
    if (isExact(pattern)) {
      let bucket = this.#exact.get(text);
      if (!bucket) this.#exact.set(text, (bucket = new RankedBucket(shape)));
      bucket.add(entry);
      return;
    }
    let node = descend(this.#root, pattern.literals[0]);
    for (let index = 1; index < pattern.literals.length; index++) {
      node.parameter ??= new Node('');
      node = descend(node.parameter, pattern.literals[index]);
    }
    if (pattern.isPrefix) (node.star ??= new RankedBucket(shape)).add(entry);
    else (node.end ??= new RankedBucket(shape)).add(entry);
  }

  /** Takes out what was added under the same pattern; nothing happens if it isn't there. */
  remove(text: string, entry: E): void {
    const pattern = parsePathPattern(text);
    if (isExact(pattern)) {
      const bucket = this.#exact.get(text);
      bucket?.remove(entry);
      if (bucket?.entries.length === 0) this.#exact.delete(text);
      return;
    }
    const way = wayTo(this.#root, pattern.literals);
    const node = way?.at(-1);
    if (!way || !node) return;
    const kind = pattern.isPrefix ? 'star' : 'end';
    node[kind]?.remove(entry);
    if (node[kind]?.entries.length === 0) node[kind] = undefined;
    prune(way);
  }

  /** The best entry that matches the path and accepts the subject. */
  find(path: string, subject: S): E | undefined {
    const exact = this.#exact.get(path)?.first(subject);
    if (exact !== undefined) return exact;
    this.#search(path);
    for (let index = 0; index < this.#endCount; index++) {
      const entry = this.#ends[index].first(subject);
      if (entry !== undefined) return entry;
    }
    for (let index = this.#starCount - 1; index >= 0; index--) {
      const entry = this.#stars[index].first(subject);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  /** All buckets whose pattern matches the path, best first. */
  matching(path: string): RankedBucket<S, E>[] {
    const exact = this.#exact.get(path);
    this.#search(path);
    return [
      ...(exact ? [exact] : []),
      ...this.#ends.slice(0, this.#endCount),
      ...this.#stars.slice(0, this.#starCount).reverse(),
    ];
  }

  #search(path: string): void {
    this.#endCount = 0;
    this.#starCount = 0;
    this.#walk(this.#root, path, 0);
  }

  #walk(start: Node<S, E>, path: string, startPosition: number): void {
    let node = start;
    let position = startPosition;
    for (;;) {
      this.visits += 1;
      if (node.star !== undefined) this.#addStar(node.star, position);
      if (position === path.length) {
        if (node.end !== undefined) this.#ends[this.#endCount++] = node.end;
        return;
      }
      const code = path.charCodeAt(position);
      const index = indexOfCode(node.firsts, code);
      let literal = index < 0 ? undefined : node.children[index];
      if (literal !== undefined && !path.startsWith(literal.label, position)) literal = undefined;
      if (node.parameter !== undefined && code !== SLASH) {
        if (literal !== undefined) this.#walk(literal, path, position + literal.label.length);
        node = node.parameter;
        position = segmentEnd(path, position);
      } else {
        if (literal === undefined) return;
        node = literal;
        position += literal.label.length;
      }
    }
  }

  /** Keeps the buckets in ascending order; one that comes later goes before its equals. */
  #addStar(bucket: RankedBucket<S, E>, position: number): void {
    let index = this.#starCount++;
    while (index > 0 && this.#consumed[index - 1] >= position) {
      this.#consumed[index] = this.#consumed[index - 1];
      this.#stars[index] = this.#stars[index - 1];
      index -= 1;
    }
    this.#consumed[index] = position;
    this.#stars[index] = bucket;
  }
}

/** The node at which `text` ends below `start`, made if need be. */
function descend<S, E extends Ranked<S>>(start: Node<S, E>, text: string): Node<S, E> {
  let node = start;
  let rest = text;
  while (rest !== '') {
    const index = indexOfCode(node.firsts, rest.charCodeAt(0));
    if (index < 0) {
      const leaf = new Node<S, E>(rest);
      node.firsts += rest[0];
      node.children.push(leaf);
      return leaf;
    }
    let child = node.children[index];
    const shared = sharedLength(child.label, rest);
    if (shared < child.label.length) {
      // "abc" and "abd" part: a new node "ab" takes the child's place, and the child becomes "c".
      const fork = new Node<S, E>(child.label.slice(0, shared));
      child.label = child.label.slice(shared);
      fork.firsts = child.label[0];
      fork.children.push(child);
      node.children[index] = fork;
      child = fork;
    }
    node = child;
    rest = rest.slice(shared);
  }
  return node;
}

/** All nodes from the root to where the pattern ends, or undefined if it isn't in the tree. */
function wayTo<S, E extends Ranked<S>>(
  root: Node<S, E>,
  literals: readonly string[],
): Node<S, E>[] | undefined {
  const way = [root];
  let node = root;
  for (let index = 0; index < literals.length; index++) {
    if (index > 0) {
      if (!node.parameter) return undefined;
      way.push((node = node.parameter));
    }
    let rest = literals[index];
    while (rest !== '') {
      const child = node.children[indexOfCode(node.firsts, rest.charCodeAt(0))];
      if (!child || !rest.startsWith(child.label)) return undefined;
      way.push((node = child));
      rest = rest.slice(child.label.length);
    }
  }
  return way;
}

/** Takes out the nodes at the end of the way that nothing needs any more, and joins edges again. */
function prune<S, E extends Ranked<S>>(way: Node<S, E>[]): void {
  for (let index = way.length - 1; index > 0; index--) {
    const node = way[index];
    const parent = way[index - 1];
    if (parent.parameter === node) {
      if (!node.isUnused) return;
      parent.parameter = undefined;
      continue;
    }
    const position = parent.children.indexOf(node);
    if (node.isUnused) {
      parent.firsts = parent.firsts.slice(0, position) + parent.firsts.slice(position + 1);
      parent.children.splice(position, 1);
      continue;
    }
    if (!node.end && !node.star && !node.parameter && node.children.length === 1) {
      const [child] = node.children;
      child.label = node.label + child.label;
      parent.children[position] = child;
    }
    return;
  }
}

function indexOfCode(text: string, code: number): number {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) === code) return index;
  }
  return -1;
}

function sharedLength(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a.charCodeAt(length) === b.charCodeAt(length)) length += 1;
  return length;
}
