import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TlsMaterial } from '../model/tls-material.ts';
import { TlsKeeper } from './tls-keeper.ts';

test('replaces the ticket key now and then, and nothing else with it', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const own = { id: 'acme/1', snis: ['a.example'], cert: '', key: '' };
  const keeper = new TlsKeeper(60, [own]);
  const shared: TlsMaterial[] = [];
  keeper.start(async (material) => void shared.push(material));
  const first = keeper.material.ticketKeys;
  assert.equal(first.length, 48);
  t.mock.timers.tick(59_999);
  assert.equal(shared.length, 0);
  t.mock.timers.tick(1);
  assert.equal(shared.length, 1);
  assert.notDeepEqual(shared[0].ticketKeys, first);
  assert.deepEqual(shared[0].certificates, [own]);
  const challenge = { type: 'http-01', token: 't', answer: 'a' } as const;
  await keeper.useChallenges([challenge]);
  assert.deepEqual([shared[1].challenges, shared[1].ticketKeys], [[challenge], shared[0].ticketKeys]);
  keeper.stop();
  t.mock.timers.tick(600_000);
  assert.equal(shared.length, 2);
});
