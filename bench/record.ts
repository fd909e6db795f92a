// What one ended Exchange costs: on its worker to write the record, and in the telemetry thread to
// read it, count it and format its line of the access log. The budgets are 0.35 µs and 1.5 µs.
// `node bench/record.ts` prints one line of figures each, the median of seven rounds.

import { exchangeEnd } from '../src/model/exchange-end.fixture.ts';
import { RecordReader } from '../src/state/memory/record-reader.ts';
import { createRecordRing, RecordRing } from '../src/state/memory/record-ring.ts';
import { AccessLog } from '../src/telemetry/access-log.ts';
import { LineSink } from '../src/telemetry/line-sink.ts';
import { Metrics } from '../src/telemetry/metrics.ts';
import { exposition } from '../src/telemetry/prometheus.ts';
import { telemetryWords } from '../src/telemetry/words.ts';

const ROUNDS = 7;
const RECORDS = 200_000;

const end = exchangeEnd(
  {
    target: '/api/v1/orders/123?expand=lines&page=2',
    userAgent:
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36',
  },
  { routeId: 'orders-gateway', routeName: 'orders-gateway', matchedUri: '/api/v1/orders/*', matchedHost: '' },
);

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

interface Case {
  readonly name: string;
  readonly detail: boolean;
  readonly routes: number;
  readonly consumers: number;
}

/** Fills and drains a ring again and again, and times either side. */
async function measure({ name, detail, routes, consumers }: Case): Promise<void> {
  const memory = createRecordRing({ detail });
  const ring = new RecordRing(memory);
  const reader = new RecordReader(memory, telemetryWords);
  const metrics = new Metrics();
  const sink = await LineSink.open({
    destination: { file: '/dev/null' },
    capBytes: 16 * 1024 * 1024,
    onTrouble: (message) => console.error(message),
  });
  const log = new AccessLog(sink);
  const routeIds = Array.from({ length: routes }, (_, index) => `route-${index}`);
  const consumerNames = Array.from({ length: consumers }, (_, index) => `consumer-${index}`);
  const figures = { write: [] as number[], count: [] as number[], format: [] as number[] };
  for (let round = 0; round < ROUNDS + 2; round++) {
    const spent = { write: 0n, count: 0n, format: 0n };
    for (let done = 0; done < RECORDS; done += 2000) {
      const start = process.hrtime.bigint();
      for (let index = done; index < done + 2000; index++) {
        end.routeId = routeIds[index % routes];
        end.consumer = consumerNames[index % consumers];
        end.startedAt += 0.25;
        ring.write(end);
      }
      const written = process.hrtime.bigint();
      // Counting and formatting are timed apart, by turns.
      const formats = (done / 2000) % 2 === 0;
      const taken = reader.read(
        4000,
        formats ? (record) => log.write(record) : (record) => metrics.record(record),
      );
      spent[formats ? 'format' : 'count'] += process.hrtime.bigint() - written;
      spent.write += written - start;
      if (taken !== 2000) throw new Error('records were lost');
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (round < 2) continue;
    figures.write.push(Number(spent.write) / RECORDS);
    figures.count.push((Number(spent.count) / RECORDS) * 2);
    figures.format.push((Number(spent.format) / RECORDS) * 2);
  }
  await sink.close(5000);
  if (sink.dropped > 0) throw new Error(`${sink.dropped} lines were dropped`);
  const ns = (values: number[]) => `${median(values).toFixed(0)} ns`;
  console.log(
    `${name}: ${ns(figures.write)} to write a record, ${ns(figures.count)} to read and count it, ` +
      `${ns(figures.format)} to read it and format its line`,
  );
}

/** A scrape of 5000 Routes with three codes each. */
function measureScrape(): void {
  const memory = createRecordRing();
  const ring = new RecordRing(memory);
  const reader = new RecordReader(memory, telemetryWords);
  const metrics = new Metrics();
  for (let index = 0; index < 15_000; index++) {
    end.routeId = `route-${index % 5000}`;
    end.consumer = '';
    end.status = [200, 404, 503][Math.floor(index / 5000)];
    ring.write(end);
    if (index % 1000 === 999) reader.read(2000, (record) => metrics.record(record));
  }
  const none = { active: 0, accepted: 0, handled: 0, reading: 0, writing: 0, waiting: 0 };
  const times: number[] = [];
  let bytes = 0;
  for (let round = 0; round < ROUNDS + 2; round++) {
    const start = performance.now();
    bytes = 0;
    const plain = {
      hostname: 'bench',
      version: '0',
      connections: none,
      sharedMemory: [],
      upstreamStatus: [],
      circuits: [],
      evictions: {},
      redis: { ready: 0, down: 0 },
      revisions: new Map(),
      handshakes: new Map(),
      certificates: [],
      droppedRecords: new Map(),
      brokenRecords: 0,
      workerRestarts: 0,
      logLines: 0,
      droppedLogLines: 0,
      gauges: [],
    };
    for (const chunk of exposition(metrics, plain, { prefix: 'apisix_' })) bytes += chunk.length;
    if (round >= 2) times.push(performance.now() - start);
  }
  console.log(
    `a scrape of 5000 Routes with 3 codes each: ${median(times).toFixed(0)} ms for ${(bytes / 1e6).toFixed(1)} MB`,
  );
}

await measure({ name: '1 Route, 1 Consumer', detail: true, routes: 1, consumers: 1 });
await measure({ name: '1000 Routes, 50 Consumers', detail: true, routes: 1000, consumers: 50 });
await measure({ name: 'the same without detail', detail: false, routes: 1000, consumers: 50 });
measureScrape();
