// What one ended Exchange costs: on its worker to write the record, and in the telemetry thread to
// read it, count it and format its line of the access log. The budgets are 0.35 µs and 1.5 µs.
// `node bench/record.ts` prints one line of figures each, the median of seven rounds.

import type { ExchangeEnd } from '../src/model/exchange-end.ts';
import { RecordReader } from '../src/state/memory/record-reader.ts';
import { createRecordRing, RecordRing } from '../src/state/memory/record-ring.ts';

const ROUNDS = 7;
const RECORDS = 200_000;

const head = Buffer.from(
  'GET /api/v1/orders/123?expand=lines&page=2 HTTP/1.1\r\nHost: orders.example.com\r\n' +
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36\r\n\r\n',
);

function range(text: string): [number, number] {
  const start = head.indexOf(text);
  return [start, start + text.length];
}

const [targetStart, targetEnd] = range('/api/v1/orders/123?expand=lines&page=2');
const [hostStart, hostEnd] = range('orders.example.com');
const [userAgentStart] = range('Mozilla');

const end: ExchangeEnd = {
  startedAt: 1_780_000_000_000.5,
  durationMs: 3.217,
  upstreamMs: 2.914,
  status: 200,
  upstreamStatus: 200,
  source: 'upstream',
  reason: '',
  attempts: 1,
  bytesIn: 231,
  bytesOut: 1187,
  revision: 17,
  requestId: '0123456789abcdef0123456789abcdef',
  clientAddress: '192.0.2.17',
  head,
  methodStart: 0,
  methodEnd: 3,
  targetStart,
  targetEnd,
  hostStart,
  hostEnd,
  userAgentStart,
  userAgentEnd: head.length - 4,
  httpVersion: '1.1',
  scheme: 'http',
  routeId: 'orders-gateway',
  routeName: 'orders-gateway',
  serviceId: '',
  serviceName: '',
  upstreamId: 'orders',
  matchedUri: '/api/v1/orders/*',
  matchedHost: '',
  target: '10.0.0.17:8080',
  consumer: 'acme',
  metrics: true,
  preferName: false,
};

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

/** Fills and drains a ring again and again, and times either side. */
function measure(name: string, detail: boolean, routes: number, consumers: number): void {
  const memory = createRecordRing({ detail });
  const ring = new RecordRing(memory);
  const reader = new RecordReader(memory, { labels: (labels) => labels, text: (text) => text });
  const routeIds = Array.from({ length: routes }, (_, index) => `route-${index}`);
  const consumerNames = Array.from({ length: consumers }, (_, index) => `consumer-${index}`);
  const writeNs: number[] = [];
  const readNs: number[] = [];
  for (let round = 0; round < ROUNDS + 2; round++) {
    let writing = 0n;
    let reading = 0n;
    let sum = 0;
    for (let done = 0; done < RECORDS; done += 2000) {
      const before = process.hrtime.bigint();
      for (let index = done; index < done + 2000; index++) {
        end.routeId = routeIds[index % routes];
        end.consumer = consumerNames[index % consumers];
        end.startedAt += 0.25;
        ring.write(end);
      }
      const between = process.hrtime.bigint();
      reader.read(4000, (record) => {
        sum += record.status;
      });
      writing += between - before;
      reading += process.hrtime.bigint() - between;
    }
    if (sum !== RECORDS * 200) throw new Error('records were lost');
    if (round < 2) continue;
    writeNs.push(Number(writing) / RECORDS);
    readNs.push(Number(reading) / RECORDS);
  }
  console.log(
    `${name}: ${median(writeNs).toFixed(0)} ns to write, ${median(readNs).toFixed(0)} ns to read a record`,
  );
}

measure('1 Route, 1 Consumer', true, 1, 1);
measure('1000 Routes, 5000 Consumers', true, 1000, 5000);
measure('1000 Routes, 5000 Consumers, no access log', false, 1000, 5000);
