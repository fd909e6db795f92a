import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseHttpDate } from './http-date.ts';

const NOW = Date.UTC(2026, 10, 21);
const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const moment = fc.integer({ min: Date.UTC(1980, 0, 1) / 1000, max: Date.UTC(2070, 0, 1) / 1000 });

test('reads every second in all three forms, whatever the case', () => {
  fc.assert(
    fc.property(moment, fc.boolean(), (second, upper) => {
      const date = new Date(second * 1000);
      const fixed = date.toUTCString();
      const [, day, month, year, time] = /, (\d+) (\w+) (\d+) (\S+) /.exec(fixed)!;
      const forms = [
        fixed,
        `${WEEKDAYS[date.getUTCDay()]}, ${day}-${month}-${year.slice(2)} ${time} GMT`,
        `${fixed.slice(0, 3)} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`,
      ];
      for (const form of forms) {
        assert.equal(parseHttpDate(upper ? form.toUpperCase() : form, NOW), second * 1000, form);
      }
    }),
  );
});

for (const wrong of [
  '0',
  '',
  'Thu, 18 Aug 2050 02:01:18 UTC',
  'Thu, 18 Aug 50 02:01:18 GMT',
  'Thu 18 Aug 2050 02:01:18 GMT',
  'Thu, 18  Aug  2050 02:01:18 GMT',
  'Thu, 18-Aug-2050 02:01:18 GMT',
  'Thu, 18 Aug 2050 02.01.18 GMT',
  'Thu, 18 Aug 2050 2:01:18 GMT',
  'Thu, 18 Aug 2050 24:01:18 GMT',
  'Thu, 00 Aug 2050 02:01:18 GMT',
  '2050-08-18T02:01:18Z',
]) {
  test(`takes ${JSON.stringify(wrong)} for no date`, () =>
    assert.equal(parseHttpDate(wrong, NOW), undefined));
}

test('puts a year of two digits into the century that is nearer', () => {
  assert.equal(new Date(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT', NOW)!).getUTCFullYear(), 1994);
  assert.equal(new Date(parseHttpDate('Thursday, 18-Aug-50 02:01:18 GMT', NOW)!).getUTCFullYear(), 2050);
});
