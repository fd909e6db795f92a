import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, NaiveLimits } from '../plugin/testing.ts';
import { ConnectionLimits } from './connection-limits.ts';

const limits = (max: number, maxPerAddress: number, shared = new NaiveLimits(new ManualClock())) =>
  new ConnectionLimits({ max, maxPerAddress }, shared);

test('an address has its own share, and gets it back', () => {
  const connections = limits(0, 2);
  assert.equal(connections.enter('a'), undefined);
  assert.equal(connections.enter('a'), undefined);
  assert.equal(connections.enter('a'), 'max_connections_per_address');
  assert.equal(connections.enter('b'), undefined);
  connections.leave('a');
  assert.equal(connections.enter('a'), undefined);
  assert.equal(connections.refused, 1);
});

test('all of them together have a limit, which who is refused for another reason does not use up', () => {
  const connections = limits(3, 1);
  assert.equal(connections.enter('a'), undefined);
  for (let i = 0; i < 5; i++) assert.equal(connections.enter('a'), 'max_connections_per_address');
  assert.equal(connections.enter('b'), undefined);
  assert.equal(connections.enter('c'), undefined);
  assert.equal(connections.enter('d'), 'max_connections');
  connections.leave('b');
  assert.equal(connections.enter('d'), undefined);
});

test('workers count together', () => {
  const shared = new NaiveLimits(new ManualClock());
  const [one, two] = [limits(1, 0, shared), limits(1, 0, shared)];
  assert.equal(one.enter('a'), undefined);
  assert.equal(two.enter('b'), 'max_connections');
  one.leave('a');
  assert.equal(two.enter('b'), undefined);
});
