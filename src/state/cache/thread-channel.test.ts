import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheMessage } from './cache-message.ts';
import { ThreadChannel } from './thread-channel.ts';

test('hears what was said before, without waiting, with memory shared and not copied', (t) => {
  const [one, other] = ['x', 'x'].map((name) => new ThreadChannel(`test-${process.pid}-${name}`));
  t.after(() => {
    one.close();
    other.close();
  });
  const heard: CacheMessage[] = [];
  other.listen('z', (message) => heard.push(message));
  const place = new SharedArrayBuffer(4);
  const entry = {
    id: '1',
    owner: 1,
    resource: 'a/',
    partition: 'p',
    response: {} as never,
    tags: [],
    size: 0,
    place,
  };
  one.post({ zone: 'z', type: 'put', entries: [entry] });
  one.post({ zone: 'another', type: 'drop', ids: [] });
  assert.equal(heard.length, 0);
  other.drain();
  assert.equal(heard.length, 1);
  const [message] = heard;
  assert.ok(message.type === 'put');
  new Uint8Array(place)[0] = 7;
  assert.equal(new Uint8Array(message.entries[0].place as SharedArrayBuffer)[0], 7);
});
