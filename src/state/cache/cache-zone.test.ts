import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StoredResponse } from '../../lib/http-caching/stored-response.ts';
import type { Purge } from '../../plugin/cache.ts';
import { MemoryBodies } from './cache-bodies.ts';
import type { CacheChannel, CacheMessage } from './cache-message.ts';
import { CacheZone } from './cache-zone.ts';

let now = 1_000_000;

/** What one thread says, all others hear, by way of what a message can carry. */
class Wire {
  readonly #listeners: ((message: CacheMessage) => void)[] = [];
  /** Messages wait here until `deliver`. */
  #waiting: (() => void)[] = [];

  channel(): CacheChannel {
    const own: { listener?: (message: CacheMessage) => void } = {};
    return {
      post: (message) => {
        const copy = structuredClone(message);
        for (const listener of this.#listeners)
          if (listener !== own.listener) this.#waiting.push(() => listener(copy));
      },
      listen: (_zone, listener) => {
        own.listener = listener;
        this.#listeners.push(listener);
      },
      drain: () => {},
    };
  }

  deliver(): void {
    while (this.#waiting.length > 0) this.#waiting.shift()!();
  }
}

function zones(count: number, bytes = 1 << 20) {
  const wire = new Wire();
  const all = Array.from(
    { length: count },
    (_, index) =>
      new CacheZone({
        name: 'z',
        worker: index + 1,
        workers: count,
        bodies: new MemoryBodies(bytes),
        indexLimit: undefined,
        channel: wire.channel(),
        now: () => now,
      }),
  );
  wire.deliver();
  return { all, wire };
}

function response(more: Partial<StoredResponse> = {}): StoredResponse {
  return {
    status: 200,
    fields: [],
    vary: [],
    requestedAt: now,
    receivedAt: now,
    initialAge: 0,
    lifetime: 1000,
    etag: undefined,
    lastModified: undefined,
    date: now,
    public: false,
    noCache: false,
    mayBeStale: true,
    staleWhileRevalidate: 0,
    staleIfError: 0,
    ...more,
  };
}

const entry = (resource: string, body: string, more: { tags?: string[]; partition?: string } = {}) => ({
  resource,
  partition: more.partition ?? 'p',
  response: response(),
  tags: more.tags ?? [],
  body: [Buffer.from(body)],
});
const textOf = (zone: CacheZone, resource: string, partition = 'p') => {
  const [found] = zone.find(resource, partition);
  return found && Buffer.from(zone.body(found) as Uint8Array).toString();
};

test('what one worker stores, others have, without another copy of the body', () => {
  const { all, wire } = zones(2);
  all[0].put(entry('a/', 'one'));
  assert.equal(textOf(all[1], 'a/'), undefined);
  wire.deliver();
  assert.equal(textOf(all[1], 'a/'), 'one');
  assert.equal(all[1].figures.bytes, 0, 'the one who stored it pays for it');
});

test('partitions never serve each other', () => {
  const { all } = zones(1);
  all[0].put(entry('a/', 'jane', { partition: 'jane' }));
  assert.equal(textOf(all[0], 'a/', 'joe'), undefined);
  assert.equal(textOf(all[0], 'a/', 'jane'), 'jane');
});

test('the newer of two responses wins, whoever hears of which first', () => {
  const { all, wire } = zones(2);
  all[0].put(entry('a/', 'old'));
  now += 5;
  all[1].put(entry('a/', 'new'));
  wire.deliver();
  for (const zone of all) assert.equal(textOf(zone, 'a/'), 'new');
});

for (const [name, what] of [
  ['resource', { by: 'resource', value: 'a/b' }],
  ['prefix', { by: 'prefix', value: 'a/' }],
  ['tag', { by: 'tag', value: 't' }],
] as const satisfies readonly (readonly [string, Purge])[]) {
  test(`purges by ${name} everywhere, also what was asked for before and comes after`, () => {
    const { all, wire } = zones(2);
    const under = entry('a/b', 'x', { tags: ['t'] });
    all[0].put(under);
    all[0].put(entry('c/', 'stays'));
    wire.deliver();
    assert.equal(all[1].purge(what), 1);
    wire.deliver();
    for (const zone of all) {
      assert.equal(textOf(zone, 'a/b'), undefined);
      assert.equal(textOf(zone, 'c/'), 'stays');
    }
    all[0].put(under);
    wire.deliver();
    for (const zone of all) assert.equal(textOf(zone, 'a/b'), undefined, 'it may be older than the purge');
    now += 1;
    all[0].put({ ...under, response: response() });
    wire.deliver();
    for (const zone of all) assert.equal(textOf(zone, 'a/b'), 'x');
  });
}

test('a worker that begins learns what there is, and what its predecessor owned is gone', () => {
  const { all, wire } = zones(2);
  all[0].put(entry('a/', 'mine'));
  all[1].put(entry('b/', "the dead one's"));
  wire.deliver();
  const successor = new CacheZone({
    name: 'z',
    worker: 2,
    workers: 2,
    bodies: new MemoryBodies(1 << 20),
    indexLimit: undefined,
    channel: wire.channel(),
    now: () => now,
  });
  wire.deliver();
  assert.equal(textOf(successor, 'a/'), 'mine');
  assert.equal(textOf(successor, 'b/'), undefined);
  assert.equal(textOf(all[0], 'b/'), undefined);
});

test('lets go what nobody used, keeps what another worker used, and stays within its bytes', () => {
  const { all, wire } = zones(2, 20_000);
  all[0].put(entry('used/', 'x'.repeat(2000)));
  for (let at = 0; at < 50; at++) {
    all[0].put(entry(`${at}/`, 'x'.repeat(2000)));
    wire.deliver();
    now += 1000;
    assert.ok(textOf(all[1], 'used/') !== undefined, `after ${at}`);
    assert.ok(all[0].figures.bytes <= 20_000);
  }
  assert.equal(textOf(all[0], '0/'), undefined);
  assert.equal(all[0].figures.entries, all[1].figures.entries);
});

test('takes nothing that would fill a quarter of it', () => {
  const { all } = zones(1, 4000);
  all[0].put(entry('a/', 'x'.repeat(1001)));
  assert.equal(textOf(all[0], 'a/'), undefined);
});

test('bounds the variants of a resource', () => {
  const { all } = zones(1);
  for (let at = 0; at < 200; at++) {
    all[0].put({ ...entry('a/', String(at)), response: response({ vary: [['x', String(at)]] }) });
  }
  assert.equal(all[0].find('a/', 'p').length, 64);
  assert.equal(textOf(all[0], 'a/'), '199');
});

// Any history, on any of three workers, leaves what a plain map would have, everywhere.
test('is the same as one map, for any history', () => {
  const resource = fc.constantFrom('a/', 'a/b', 'b/');
  const tag = fc.constantFrom('s', 't');
  const step = fc.oneof(
    fc.record({ type: fc.constant('put' as const), resource, tag }),
    fc.record({
      type: fc.constant('purge' as const),
      resource,
      tag,
      by: fc.constantFrom('resource', 'prefix', 'tag'),
    }),
    fc.record({ type: fc.constant('remove' as const), resource, tag }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2), step), { maxLength: 30 }), (history) => {
      const { all, wire } = zones(3);
      const model = new Map<string, { body: string; tag: string }>();
      for (const [index, [worker, one]] of history.entries()) {
        now += 1;
        const zone = all[worker];
        if (one.type === 'put') {
          zone.put(entry(one.resource, String(index), { tags: [one.tag] }));
          model.set(one.resource, { body: String(index), tag: one.tag });
        } else if (one.type === 'remove') {
          const [found] = zone.find(one.resource, 'p');
          if (found !== undefined) zone.remove(found);
          model.delete(one.resource);
        } else {
          const by = one.by as Purge['by'];
          const value = by === 'tag' ? one.tag : one.resource;
          zone.purge({ by, value });
          for (const [name, kept] of model) {
            if (by === 'tag' ? kept.tag === value : by === 'prefix' ? name.startsWith(value) : name === value)
              model.delete(name);
          }
        }
        wire.deliver();
      }
      for (const zone of all) {
        for (const name of ['a/', 'a/b', 'b/']) assert.equal(textOf(zone, name), model.get(name)?.body);
        assert.equal(zone.figures.entries, model.size);
      }
    }),
  );
});

test('counts all that an entry keeps: words of the request that Vary names, tags, and what a confirmation adds', () => {
  const { all } = zones(1, 1 << 20);
  const [zone] = all;
  const long = (seed: number) => `${seed}`.padEnd(4_000, 'x');
  for (let index = 0; index < 1_000; index++) {
    now++;
    zone.put({
      ...entry(`a/${index}`, 'b', { tags: [long(index), `${long(index)}2`] }),
      response: response({ vary: [['accept-language', long(index)]] }),
    });
  }
  assert.ok(zone.figures.entries < 90, `${zone.figures.entries} entries of 12 kB in 1 MiB`);
  const [first] = zone.find('a/999', 'p');
  const before = zone.figures.bytes;
  zone.refresh(first, response({ fields: [['X-More', long(1)]], vary: first.response.vary }));
  assert.ok(zone.figures.bytes >= before + 4_000);
  zone.remove(first);
  for (let index = 0; index < 1_000; index++) zone.purge({ by: 'resource', value: `a/${index}` });
  assert.equal(zone.figures.bytes, 0);
});

test('makes room for what confirmations add', () => {
  const { all } = zones(1, 1 << 20);
  const [zone] = all;
  for (let index = 0; index < 500; index++) zone.put(entry(`a/${index}`, 'b'));
  for (let index = 0; index < 500; index++) {
    const [found] = zone.find(`a/${index}`, 'p');
    if (found !== undefined) zone.refresh(found, response({ fields: [['X', 'x'.repeat(10_000)]] }));
  }
  assert.ok(zone.figures.bytes <= 1 << 20);
});
