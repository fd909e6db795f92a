import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IpSet } from '../lib/ip-range.ts';
import { type StreamConditions, type StreamEnds, StreamRouter } from './stream-router.ts';

const ends: StreamEnds = { clientAddress: '10.1.2.3', serverAddress: '127.0.0.1', serverPort: 9100 };
const matched = (routes: StreamConditions[], serverName?: string, at = ends) =>
  new StreamRouter(routes).match(at, serverName)?.id;

test('all conditions must hold', () => {
  const route = { id: 'a', remoteAddress: '10.0.0.0/8', serverAddress: '127.0.0.1', serverPort: 9100 };
  assert.equal(matched([route]), 'a');
  assert.equal(matched([route], undefined, { ...ends, clientAddress: '11.0.0.1' }), undefined);
  assert.equal(matched([route], undefined, { ...ends, serverAddress: '127.0.0.2' }), undefined);
  assert.equal(matched([route], undefined, { ...ends, serverPort: 9101 }), undefined);
});

test('an exact name goes before the longest wildcard, a wildcard before a route without name', () => {
  const routes = [
    { id: 'rest' },
    { id: 'any', sni: '*' },
    { id: 'wide', sni: '*.example' },
    { id: 'narrow', sni: '*.shop.example' },
    { id: 'exact', sni: 'a.shop.Example' },
  ];
  assert.equal(matched(routes, 'a.shop.example'), 'exact');
  assert.equal(matched(routes, 'b.shop.example'), 'narrow');
  assert.equal(matched(routes, 'shop.example'), 'wide');
  assert.equal(matched(routes, 'example'), 'any');
  assert.equal(matched(routes.slice(0, 1), 'example'), 'rest');
  assert.equal(matched(routes), 'rest');
});

test('a name whose other conditions fail falls back to a wider one', () => {
  const routes = [
    { id: 'exact', sni: 'a.example', serverPort: 1 },
    { id: 'wide', sni: '*.example' },
  ];
  assert.equal(matched(routes, 'a.example'), 'wide');
});

test('whoever says more goes first, in whatever order they were made', () => {
  const routes = [
    { id: 'all' },
    { id: 'port', serverPort: 9100 },
    { id: 'wide', remoteAddress: '10.0.0.0/8' },
    { id: 'narrow', remoteAddress: '10.1.0.0/16' },
    { id: 'one', remoteAddress: '10.1.2.3' },
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray(routes, { minLength: 1 }), (some) => {
      const best = ['one', 'narrow', 'wide', 'port', 'all'].find((id) =>
        some.some((route) => route.id === id),
      );
      assert.equal(matched(some), best);
    }),
  );
});

test('a name is wanted only where a route with one could match', () => {
  const router = new StreamRouter([{ id: 'a', sni: 'a.example', serverPort: 9443 }, { id: 'b' }]);
  assert.equal(router.wantsServerName(ends), false);
  assert.equal(router.wantsServerName({ ...ends, serverPort: 9443 }), true);
});

test('agrees with a router that tries every route', () => {
  const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
  const address = fc.constantFrom('10.0.0.1', '10.0.0.2', '::1');
  const route = fc.record({
    sni: maybe(fc.constantFrom('a.b', 'x.a.b', '*.a.b', '*.b', '*', '*b')),
    remoteAddress: maybe(fc.constantFrom('10.0.0.1', '10.0.0.0/30', '10.0.0.0/8', '::/0')),
    serverAddress: maybe(fc.constantFrom('10.0.0.1', '10.0.0.0/30')),
    serverPort: maybe(fc.constantFrom(1, 2)),
  });
  fc.assert(
    fc.property(
      fc.array(route, { maxLength: 8 }),
      fc.record({ clientAddress: address, serverAddress: address, serverPort: fc.constantFrom(1, 2) }),
      maybe(fc.constantFrom('a.b', 'x.a.b', 'y.x.a.b', 'b', 'c')),
      (conditions, at, name) => {
        const routes = conditions.map((one, index) => ({ id: String(index), ...one }));
        const fits = routes.filter(
          (one) =>
            (one.serverPort ?? at.serverPort) === at.serverPort &&
            (one.remoteAddress === undefined || new IpSet([one.remoteAddress]).has(at.clientAddress)) &&
            (one.serverAddress === undefined || new IpSet([one.serverAddress]).has(at.serverAddress)) &&
            (one.sni === undefined ||
              one.sni === name ||
              (one.sni.startsWith('*') &&
                name !== undefined &&
                name.length >= one.sni.length &&
                name.endsWith(one.sni.slice(1)))),
        );
        const weight = (range?: string) =>
          range === undefined
            ? -1
            : range.includes('/')
              ? Number(range.split('/')[1]) / (range.includes(':') ? 128 : 32)
              : 1;
        const rank = (one: (typeof routes)[number]) => [
          one.sni === undefined ? 0 : one.sni.startsWith('*') ? 1 + one.sni.length : 1000,
          weight(one.remoteAddress),
          weight(one.serverAddress),
          one.serverPort === undefined ? 0 : 1,
          -Number(one.id),
        ];
        const best = fits.sort((a, b) => {
          const [left, right] = [rank(a), rank(b)];
          const first = left.findIndex((value, index) => value !== right[index]);
          return right[first] - left[first];
        })[0];
        assert.equal(new StreamRouter(routes).match(at, name)?.id, best?.id);
      },
    ),
    { numRuns: 500 },
  );
});
