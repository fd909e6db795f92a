import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../plugin/kit.ts';
import { CacheZones } from './cache-zones.ts';

function folder(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'sluice-cache-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return path.join(made, 'zone');
}

function open(disk: string, bytes = 1 << 20) {
  const complaints: string[] = [];
  const log = { warn: (message: string) => complaints.push(message) } as unknown as Logger;
  const zones = new CacheZones({
    settings: [{ name: 'disk', memory_bytes: 1 << 20, disk_path: disk, disk_bytes: bytes }],
    worker: 1,
    workers: 1,
    channel: undefined,
    log,
  });
  return { zone: zones.zone('disk')!, complaints };
}

const entry = (resource: string, body: string) => {
  const at = Date.now();
  return {
    resource,
    partition: 'p',
    response: {
      status: 200,
      fields: [['X-A', resource] as const],
      vary: [],
      requestedAt: at,
      receivedAt: at,
      initialAge: 0,
      lifetime: 1000,
      etag: undefined,
      lastModified: undefined,
      date: at,
      public: false,
      noCache: false,
      mayBeStale: true,
      staleWhileRevalidate: 0,
      staleIfError: 0,
    },
    tags: ['t'],
    body: [Buffer.from(body)],
  };
};

async function textOf(zone: ReturnType<typeof open>['zone'], resource: string): Promise<string | undefined> {
  const [found] = await zone.find(resource, 'p');
  const body = found && (await zone.body(found));
  return body && Buffer.from(body).toString();
}

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    assert.ok(tries < 500, what);
    await sleep(10);
  }
}

test('keeps bodies in files that only its user can read, over a start', async (t) => {
  const disk = folder(t);
  const before = open(disk);
  await before.zone.put(entry('a/', 'hello'));
  await before.zone.put(entry('b/', ''));
  assert.equal(await textOf(before.zone, 'a/'), 'hello');
  for (const file of readdirSync(disk)) assert.equal(statSync(path.join(disk, file)).mode & 0o77, 0);

  const after = open(disk);
  await eventually('both are there', async () => (await textOf(after.zone, 'b/')) === '');
  assert.equal(await textOf(after.zone, 'a/'), 'hello');
  const [found] = await after.zone.find('a/', 'p');
  assert.deepEqual(found.response.fields, [['X-A', 'a/']]);
  assert.equal(await after.zone.purge({ by: 'tag', value: 't' }), 2);
  await eventually('the files are gone', async () => readdirSync(disk).length === 0);
});

test('takes in no half of a file, and removes it', async (t) => {
  const disk = folder(t);
  await open(disk).zone.put(entry('a/', 'hello'));
  const [file] = readdirSync(disk);
  truncateSync(path.join(disk, file), statSync(path.join(disk, file)).size - 1);
  writeFileSync(path.join(disk, '1-x-y.new'), 'half');
  writeFileSync(path.join(disk, 'not-ours.txt'), 'stays');
  const { zone } = open(disk);
  await eventually('only what is not ours is left', async () => readdirSync(disk).join() === 'not-ours.txt');
  assert.deepEqual(await zone.find('a/', 'p'), []);
});

test('goes without files on a disk that takes none, and says so once', async (t) => {
  const disk = folder(t);
  writeFileSync(disk, 'a file where the folder should be');
  const { zone, complaints } = open(disk);
  await zone.put(entry('a/', 'hello'));
  await zone.put(entry('b/', 'hello'));
  assert.equal(await textOf(zone, 'a/'), undefined);
  assert.equal(complaints.length, 1);
});

test('removes files to stay within its bytes', async (t) => {
  const disk = folder(t);
  const { zone } = open(disk, 4000);
  for (let at = 0; at < 10; at++) await zone.put(entry(`${at}/`, 'x'.repeat(900)));
  await eventually('four are left', async () => readdirSync(disk).length === 4);
  assert.equal(await textOf(zone, '0/'), undefined);
  assert.equal((await textOf(zone, '9/'))?.length, 900);
});
