import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Kit } from '../kit.ts';
import { NaiveCache } from '../testing/naive-cache.ts';
import { ManualClock } from '../testing.ts';
import { Flights } from './flights.ts';

test('what can not be stored is remembered for a minute, and no more of it than fits', () => {
  const clock = new ManualClock();
  const flights = new Flights(new NaiveCache(), { clock } as unknown as Kit, 5_000);
  const long = (index: number) => `${index} `.padEnd(8_000, 'x');
  for (let index = 0; index < 1_000; index++) {
    flights.noteUncacheable(long(index));
    flights.noteUncacheable(long(index));
  }
  const isForgotten = (index: number) => {
    const flight = flights.begin(long(index));
    flight?.land();
    return flight !== undefined;
  };
  const kept = Array.from({ length: 1_000 }, (_, index) => index).filter((index) => !isForgotten(index));
  assert.equal(kept.at(-1), 999);
  assert.ok(kept.length > 100 && kept.length * 8_000 <= 1 << 20, `${kept.length}`);
  clock.advance(60_001);
  assert.equal(isForgotten(999), true);
});
