import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { ExchangeRecord } from '../../model/exchange-record.ts';
import type { RouteLabels } from './record-dictionary.ts';
import { RecordReader } from './record-reader.ts';
import { createRecordRing } from './record-ring.ts';

type PlainRecord = ExchangeRecord<RouteLabels, string>;
const words = { labels: (labels: RouteLabels) => labels, text: (text: string) => text };

const WRITER = `
  const { workerData, parentPort } = require('node:worker_threads');
  Promise.all([
    import(workerData.base + '/state/memory/record-ring.ts'),
    import(workerData.base + '/model/exchange-end.fixture.ts'),
  ]).then(([{ RecordRing }, { exchangeEnd }]) => {
    const ring = new RecordRing(workerData.memory);
    const end = exchangeEnd();
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let index = 0; index < workerData.count; index++) {
      end.revision = index;
      end.status = 200 + (index % 7);
      end.consumer = 'consumer-' + (index % 50);
      ring.write(end);
      if (workerData.pauseEvery && index % workerData.pauseEvery === 0) Atomics.wait(pause, 0, 0, 1);
    }
    parentPort.postMessage('done');
  });
`;

function writer(data: { memory: SharedArrayBuffer; count: number; pauseEvery: number }): Worker {
  const base = new URL('../..', import.meta.url).href.replace(/\/$/, '');
  return new Worker(WRITER, { eval: true, workerData: { ...data, base } });
}

function droppedCount(reader: RecordReader<RouteLabels, string>): number {
  let dropped = 0;
  reader.collectDropped((_status, count) => {
    dropped += count;
  });
  return dropped;
}

/** Reads with the event loop free in between, until `over` and the ring is empty. */
async function drain(
  reader: RecordReader<RouteLabels, string>,
  over: () => boolean,
  take: (record: PlainRecord) => void,
): Promise<void> {
  for (let last = false; ; ) {
    const taken = reader.read(512, take);
    if (taken === 0 && last) return;
    last = over() && taken === 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('passes everything from a worker in order while it is read', async () => {
  const memory = createRecordRing();
  const reader = new RecordReader(memory, words);
  const worker = writer({ memory, count: 20_000, pauseEvery: 200 });
  let over = false;
  worker.once('exit', () => {
    over = true;
  });
  let next = 0;
  await drain(
    reader,
    () => over,
    (record) => {
      assert.equal(record.revision, next);
      assert.equal(record.consumer, `consumer-${next % 50}`);
      next++;
    },
  );
  assert.equal(next + droppedCount(reader), 20_000);
  assert.equal(next, 20_000);
});

test('counts every record of a worker that writes faster than it is read', async () => {
  const memory = createRecordRing({ bytes: 32768 });
  const reader = new RecordReader(memory, words);
  const worker = writer({ memory, count: 100_000, pauseEvery: 0 });
  let over = false;
  worker.once('exit', () => {
    over = true;
  });
  const counts = new Array(7).fill(0);
  let last = -1;
  await drain(
    reader,
    () => over,
    (record) => {
      assert.ok(record.revision > last, 'order is kept');
      last = record.revision;
      counts[record.status - 200]++;
    },
  );
  let dropped = 0;
  reader.collectDropped((status, count) => {
    counts[status - 200] += count;
    dropped += count;
  });
  assert.ok(dropped > 0);
  assert.deepEqual(
    counts,
    counts.map((_, index) => Math.ceil((100_000 - index) / 7)),
  );
});

test('reads no garbage from a worker that is killed while it writes', async () => {
  const memory = createRecordRing({ bytes: 32768 });
  const reader = new RecordReader(memory, words);
  const worker = writer({ memory, count: 2 ** 31, pauseEvery: 0 });
  let over = false;
  worker.once('exit', () => {
    over = true;
  });
  let taken = 0;
  let last = -1;
  await drain(
    reader,
    () => over,
    (record) => {
      assert.ok(record.revision > last);
      assert.equal(record.consumer, `consumer-${record.revision % 50}`);
      last = record.revision;
      if (++taken === 2000) worker.terminate();
    },
  );
  assert.ok(taken >= 2000);
  assert.equal(reader.broken, 0);
});

test('a worker that fills the ring wakes a sleeping reader', async () => {
  const memory = createRecordRing({ bytes: 32768 });
  const reader = new RecordReader(memory, words);
  const woken = new Promise<void>((resolve) => reader.sleep(resolve));
  const keepAlive = setInterval(() => {}, 1000);
  const worker = writer({ memory, count: 1000, pauseEvery: 0 });
  const exit = once(worker, 'exit');
  await woken;
  clearInterval(keepAlive);
  assert.ok(reader.waiting > 16384);
  await exit;
});
