import { crc32 } from 'node:zlib';
import { compileTemplate, type Variable, type VariableSource } from '../plugin/variable.ts';
import { type Balancer, type BalancerOptions, defineBalancer, type Target } from './balancer.ts';

/** Points on the ring for a weight of 1, as lua-resty-chash and ketama have it. */
const POINTS = 160;
/** At most for one Target; 100 Targets' points are then sorted in a few milliseconds. */
const MOST_POINTS = 4 * POINTS;
/** Target indexes are below this; a hash of 32 bits and an index fit in a float64 exactly. */
const OWNERS = 2 ** 20;

export const chash = defineBalancer({
  name: 'chash',
  summary: 'Sends requests with the same key to the same Target, by a consistent hash.',
  create: (targets, options) => new ConsistentHash(targets, options.all ?? targets, hashKey(options)),
});

/** What a request is hashed by: never empty-handed, since what has no value falls back to the client's address. */
function hashKey(options: BalancerOptions): (subject: VariableSource) => string {
  const variable = hashVariable(options.hash_on ?? 'vars', options.key ?? 'remote_addr');
  return (subject) => variable(subject) ?? subject.variable('remote_addr') ?? '';
}

function hashVariable(hashOn: NonNullable<BalancerOptions['hash_on']>, key: string): Variable {
  switch (hashOn) {
    case 'vars':
      return (subject) => subject.variable(key);
    case 'header': {
      const name = `http_${key.toLowerCase().replaceAll('-', '_')}`;
      return (subject) => subject.variable(name);
    }
    case 'cookie':
      return (subject) => subject.variable(`cookie_${key}`);
    case 'consumer':
      return (subject) => subject.variable('consumer_name');
    case 'vars_combinations': {
      const template = compileTemplate(key);
      const bare = template({ variable: () => undefined });
      return (subject) => {
        const value = template(subject);
        return value === bare ? undefined : value;
      };
    }
  }
}

/**
 * A ring of points, POINTS for each unit of weight; a key belongs to the Target whose point is the
 * last at or before its hash. A Target's points depend on its own key and weight alone, so that one
 * that comes or goes moves its own share of keys and no other (the exception: where the largest
 * weight is above 4 and its Target's coming or going doubles or halves it, points are rescaled). A
 * retry walks on along the ring, so that what fell to a lost Target spreads over all the others.
 */
class ConsistentHash implements Balancer {
  readonly #targets: readonly Target[];
  readonly #heaviest: number;
  readonly #key: (subject: VariableSource) => string;
  /** Hashes, ascending, and the Target of each; made when the first request asks. */
  #hashes = new Uint32Array();
  #owners = new Uint32Array();

  constructor(targets: readonly Target[], all: readonly Target[], key: (subject: VariableSource) => string) {
    // Two Targets on one point: the later by key owns it, in whatever order they were configured.
    this.#targets = [...targets].sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#key = key;
    // Of all, healthy or not: points must not be rescaled because the heaviest Target is down.
    this.#heaviest = all.reduce((most, target) => Math.max(most, target.weight), 0);
  }

  pick(subject: VariableSource, tried: readonly Target[]): Target | undefined {
    if (this.#targets.length === 1) return tried.includes(this.#targets[0]) ? undefined : this.#targets[0];
    if (this.#hashes.length === 0) this.#build();
    const hashes = this.#hashes;
    const hash = crc32(this.#key(subject));
    let low = 0;
    let high = hashes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (hashes[middle] <= hash) low = middle + 1;
      else high = middle;
    }
    // What lies before the first point belongs to it, as in lua-resty-chash.
    let index = Math.max(0, low - 1);
    for (let walked = 0; walked < hashes.length; walked++) {
      const target = this.#targets[this.#owners[index]];
      if (!tried.includes(target)) return target;
      index = (index + 1) % hashes.length;
    }
    return undefined;
  }

  #build(): void {
    let scale = POINTS;
    while (scale * this.#heaviest > MOST_POINTS) scale /= 2;
    const counts = this.#targets.map((target) => Math.max(1, Math.round(target.weight * scale)));
    const points = new Float64Array(counts.reduce((a, b) => a + b));
    const previous = new Uint8Array(4);
    const view = new DataView(previous.buffer);
    let filled = 0;
    this.#targets.forEach(({ host, port }, owner) => {
      const base = crc32(`${host}\0${port}`);
      view.setUint32(0, 0);
      for (let i = 0; i < counts[owner]; i++) {
        // Continues the checksum of the name with the point before, as lua-resty-chash does.
        const hash = crc32(previous, ~base >>> 0);
        points[filled++] = hash * OWNERS + owner;
        view.setUint32(0, hash, true);
      }
    });
    points.sort();
    this.#hashes = Uint32Array.from(points, (point) => point / OWNERS);
    this.#owners = Uint32Array.from(points, (point) => point % OWNERS);
  }
}
