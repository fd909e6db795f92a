// What machines share of one resource stays small, however many words clients find for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Logger } from '../../src/plugin/kit.ts';
import { CacheZones } from '../../src/state/cache/cache-zones.ts';
import { openRedis } from '../../src/state/redis/open-redis.ts';
import { RedisLinks } from '../../src/state/redis/redis-links.ts';
import { eventually } from '../support/eventually.ts';
import { RedisServer } from '../support/redis-server.ts';

const log = { warn() {}, info() {} } as unknown as Logger;

test('a Redis keeps a bounded number of variants of one resource', async (t) => {
  const redis = await RedisServer.start(t);
  const links = new RedisLinks({ log, random: Math.random, open: openRedis }, 20);
  t.after(() => links.close());
  const zones = new CacheZones({
    settings: [{ name: 'z', memory_bytes: 1 << 24, redis_host: '127.0.0.1', redis_port: redis.port }],
    worker: 1,
    workers: 1,
    channel: undefined,
    log,
    redis: links,
  });
  const zone = zones.zone('z')!;
  t.after(() => (zone as unknown as { close(): void }).close());
  await zone.find('a/', 'p');
  const now = Date.now();
  const put = (language: string) =>
    zone.put({
      resource: 'a/',
      partition: 'p',
      tags: [],
      body: [Buffer.from(language)],
      response: {
        status: 200,
        fields: [],
        vary: [['accept-language', language]],
        requestedAt: now,
        receivedAt: now,
        initialAge: 0,
        lifetime: 60_000,
        etag: undefined,
        lastModified: undefined,
        date: now,
        public: false,
        noCache: false,
        mayBeStale: true,
        staleWhileRevalidate: 0,
        staleIfError: 0,
      },
    });
  const keys = async () => (await redis.command('keys', 'sluice:cache:z:*')) as string[];
  await eventually('Redis is there', async () => {
    await put('first');
    return (await keys()).some((key) => !key.endsWith(':purges'));
  });
  for (let index = 0; index < 500; index++) await put(`l${index}`);
  await put('last');
  const key = (await keys()).find((one) => !one.endsWith(':purges'))!;
  await eventually('all have come', async () => {
    const values = JSON.stringify(await redis.command('hvals', key));
    return values.includes('last');
  });
  const count = Number(await redis.command('hlen', key));
  assert.ok(count <= 64, `${count} variants`);
  assert.ok(Number(await redis.command('pttl', key)) > 0);
});
