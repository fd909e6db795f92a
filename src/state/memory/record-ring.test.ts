import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { exchangeEnd } from '../../model/exchange-end.fixture.ts';
import { type ExchangeRecord, TEXT_CAPS } from '../../model/exchange-record.ts';
import type { RouteLabels } from './record-dictionary.ts';
import { RecordReader } from './record-reader.ts';
import { createRecordRing, RecordRing, WORKER_GAUGE } from './record-ring.ts';

type PlainRecord = ExchangeRecord<RouteLabels, string>;
const words = { labels: (labels: RouteLabels) => labels, text: (text: string) => text };

function texts(record: PlainRecord) {
  const text = (start: number, end: number) =>
    Buffer.from(record.bytes.subarray(start, end)).toString('latin1');
  return {
    requestId: text(record.requestIdStart, record.clientAddressStart),
    clientAddress: text(record.clientAddressStart, record.methodStart),
    method: text(record.methodStart, record.targetStart),
    target: text(record.targetStart, record.hostStart),
    host: text(record.hostStart, record.userAgentStart),
    userAgent: text(record.userAgentStart, record.userAgentEnd),
  };
}

function pair(options: { bytes?: number; detail?: boolean } = {}) {
  const memory = createRecordRing({ bytes: 32768, ...options });
  return { memory, ring: new RecordRing(memory), reader: new RecordReader(memory, words) };
}

function droppedOf(reader: RecordReader<RouteLabels, string>): Map<number, [number, number]> {
  const dropped = new Map<number, [number, number]>();
  reader.collectDropped((status, count, metricsCount) => dropped.set(status, [count, metricsCount]));
  return dropped;
}

test('gives back every field of an Exchange', () => {
  const { ring, reader } = pair();
  const end = exchangeEnd(
    {},
    { reason: 'upstream_timeout', scheme: 'https', preferName: true, bytesOut: 2 ** 40 },
  );
  ring.write(end);
  const taken = reader.read(10, (record) => {
    for (const name of [
      'startedAt',
      'durationMs',
      'upstreamMs',
      'status',
      'upstreamStatus',
      'attempts',
      'bytesIn',
      'bytesOut',
      'revision',
      'httpVersion',
      'metrics',
      'preferName',
      'target',
      'consumer',
      'reason',
    ] as const) {
      assert.equal(record[name], end[name], name);
    }
    assert.equal(record.upstreamSource, true);
    assert.equal(record.https, true);
    assert.deepEqual(record.labels, {
      routeId: 'orders',
      routeName: 'Orders',
      serviceId: 'shop',
      serviceName: 'Shop',
      upstreamId: 'shop-upstream',
      matchedUri: '/orders/*',
      matchedHost: 'orders.example.com',
    });
    assert.deepEqual(texts(record), {
      requestId: '0123456789abcdef0123456789abcdef',
      clientAddress: '192.0.2.17',
      method: 'GET',
      target: '/orders/7?page=2',
      host: 'orders.example.com',
      userAgent: 'curl/8.5.0',
    });
  });
  assert.equal(taken, 1);
  assert.equal(reader.waiting, 0);
});

test('keeps any texts and numbers in order, however writing and reading alternate', () => {
  const latin1 = (maxLength: number) =>
    fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), maxLength });
  const exchange = fc.record({
    method: latin1(8),
    target: latin1(400),
    host: latin1(60),
    userAgent: latin1(200),
    status: fc.integer({ min: 0, max: 999 }),
    routeId: fc.constantFrom('', 'a', 'b', 'ü'),
    consumer: fc.string({ maxLength: 4 }),
    reads: fc.integer({ min: 0, max: 6 }),
  });
  fc.assert(
    fc.property(fc.array(exchange, { maxLength: 200 }), (exchanges) => {
      const { ring, reader } = pair();
      const expected: unknown[] = [];
      const found: unknown[] = [];
      const take = (record: PlainRecord) => {
        const { method, target, host, userAgent } = texts(record);
        const { status, labels, consumer } = record;
        found.push({ method, target, host, userAgent, status, routeId: labels.routeId, consumer });
      };
      for (const { reads, ...fields } of exchanges) {
        const { method, target, host, userAgent, ...rest } = fields;
        if (reader.waiting > 30000 - 1500) reader.read(1000, take);
        ring.write(exchangeEnd({ method, target, host, userAgent }, rest));
        expected.push({ ...fields, consumer: Buffer.from(rest.consumer).toString() });
        reader.read(reads, take);
      }
      reader.read(1000, take);
      assert.deepEqual(found, expected);
      assert.equal(reader.broken, 0);
    }),
    { numRuns: 60 },
  );
});

test('cuts what is too long and says so', () => {
  const { ring, reader } = pair();
  ring.write(
    exchangeEnd({ target: `/${'t'.repeat(5000)}`, host: 'h'.repeat(300), userAgent: 'u'.repeat(513) }),
  );
  reader.read(1, (record) => {
    const { target, host, userAgent } = texts(record);
    assert.equal(target.length, TEXT_CAPS.target);
    assert.equal(host.length, TEXT_CAPS.host);
    assert.equal(userAgent.length, TEXT_CAPS.userAgent);
    assert.ok(record.targetCut && record.hostCut && record.userAgentCut);
  });
  ring.write(exchangeEnd());
  reader.read(1, (record) => assert.ok(!record.targetCut && !record.hostCut && !record.userAgentCut));
});

test('writes a request refused at parsing, of which nothing is known', () => {
  const { ring, reader } = pair();
  const nothing = { method: '', target: '', host: '', userAgent: '' };
  ring.write(exchangeEnd(nothing, { requestId: '', routeId: '', status: 400, upstreamMs: -1 }));
  const taken = reader.read(1, (record) => {
    assert.deepEqual(texts(record), { ...nothing, requestId: '', clientAddress: '192.0.2.17' });
    assert.equal(record.upstreamMs, -1);
  });
  assert.equal(taken, 1);
});

test('does not throw on ranges outside of the head', () => {
  const { ring, reader } = pair();
  ring.write(exchangeEnd({}, { targetStart: 900, targetEnd: 1000, hostStart: 9, hostEnd: 3 }));
  assert.equal(
    reader.read(1, (record) => assert.equal(texts(record).host, '')),
    1,
  );
});

test('leaves out what the client sent when nobody wants the detail', () => {
  const { ring, reader } = pair({ detail: false });
  ring.write(exchangeEnd());
  reader.read(1, (record) => {
    assert.equal(texts(record).target, '');
    assert.equal(record.consumer, 'acme');
    assert.equal(record.bytesOut, 1187);
  });
});

test('drops what has no room and counts it by status, losing no count', () => {
  const { ring, reader } = pair();
  const sent = new Map<number, number>();
  const counted = new Map<number, number>();
  const add = (counts: Map<number, number>, status: number, count: number) =>
    counts.set(status, (counts.get(status) ?? 0) + count);
  for (let index = 0; index < 1000; index++) {
    const status = [200, 404, 503][index % 3];
    ring.write(exchangeEnd({}, { status, metrics: status !== 404 }));
    add(sent, status, 1);
  }
  const taken = reader.read(5000, (record) => add(counted, record.status, 1));
  assert.ok(taken > 50 && taken < 1000);
  const dropped = droppedOf(reader);
  for (const [status, [count, metricsCount]] of dropped) {
    add(counted, status, count);
    assert.equal(metricsCount, status === 404 ? 0 : count);
  }
  assert.deepEqual(counted, sent);
  assert.equal(droppedOf(reader).size, 0, 'dropped records are told once');

  ring.write(exchangeEnd({}, { status: 201 }));
  assert.equal(
    reader.read(10, (record) => assert.equal(record.status, 201)),
    1,
    'goes on after the overload',
  );
});

test('keeps apart the labels of one Route under several names, Upstreams and uris', () => {
  const { ring, reader } = pair();
  const expected: string[] = [];
  const found: string[] = [];
  for (let index = 0; index < 60; index++) {
    const upstreamId = `upstream-${index % 20}`;
    const routeName = index < 30 ? 'before' : 'after';
    ring.write(exchangeEnd({}, { upstreamId, routeName }));
    expected.push(`${upstreamId} ${routeName}`);
    reader.read(10, ({ labels }) => found.push(`${labels.upstreamId} ${labels.routeName}`));
  }
  assert.deepEqual(found, expected);
});

test('gives numbers again when there are more words than numbers', () => {
  const { ring, reader } = pair();
  const end = exchangeEnd();
  for (let index = 0; index < 140_000; index++) {
    end.consumer = `consumer-${index % 70_000}`;
    end.routeId = `route-${index % 20_000}`;
    ring.write(end);
    if (index % 32 === 31 || index === 139_999) {
      let at = index - (index % 32);
      reader.read(100, (record) => {
        assert.equal(record.consumer, `consumer-${at % 70_000}`);
        assert.equal(record.labels.routeId, `route-${at % 20_000}`);
        at++;
      });
      assert.equal(at, index + 1);
    }
  }
});

test('a second reader goes on where the first stopped, and learns the words again', () => {
  const { memory, ring, reader } = pair();
  ring.write(exchangeEnd({}, { status: 201 }));
  reader.read(1, () => {});
  const second = new RecordReader(memory, words);
  ring.write(exchangeEnd({}, { status: 202 }));
  const found: unknown[] = [];
  second.read(10, (record) => found.push([record.status, record.consumer, record.labels.routeId]));
  assert.deepEqual(found, [[202, 'acme', 'orders']]);
});

test('does not see a record whose writer died half way', () => {
  const { memory, ring, reader } = pair();
  ring.write(exchangeEnd());
  reader.read(10, () => {});
  const next = reader.waiting;
  // Everything but the final store of `written`.
  new Uint8Array(memory, memory.byteLength - 32768 + 600, 400).fill(0xff);
  assert.equal(next, 0);
  assert.equal(
    reader.read(10, () => assert.fail('read garbage')),
    0,
  );
});

test('believes no record that is damaged, and goes on with the next', () => {
  const { memory, ring, reader } = pair();
  ring.write(exchangeEnd({}, { status: 201 }));
  const records = new Uint8Array(memory, memory.byteLength - 32768);
  for (const damage of [0x00, 0x55, 0xff]) {
    ring.write(exchangeEnd({}, { status: 500, consumer: 'new-word' }));
    records.fill(damage);
    reader.read(10, () => assert.fail('read garbage'));
    ring.write(exchangeEnd({}, { status: 202 }));
    assert.equal(
      reader.read(10, (record) => assert.deepEqual([record.status, record.consumer], [202, 'acme'])),
      1,
    );
  }
  assert.equal(reader.broken, 3);
});

test('whatever stands in the memory, reading ends and says what it can', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ at: fc.nat(4000), byte: fc.constantFrom(0, 1, 2, 3, 4, 16, 0x7f, 0xff) }), {
        maxLength: 60,
      }),
      (damages) => {
        const { memory, ring, reader } = pair();
        for (let index = 0; index < 12; index++) {
          ring.write(exchangeEnd({}, { consumer: `consumer-${index}`, routeId: `route-${index}` }));
        }
        const records = new Uint8Array(memory, memory.byteLength - 32768);
        for (const { at, byte } of damages) records[at] = byte;
        const taken = reader.read(1000, (record) => {
          const { requestIdStart, userAgentEnd } = record;
          assert.ok(requestIdStart <= userAgentEnd && userAgentEnd <= records.length);
          assert.ok(record.labels !== undefined && typeof record.consumer === 'string');
        });
        assert.ok(taken <= 12);
        assert.equal(reader.waiting, 0);
        ring.write(exchangeEnd({}, { status: 207, consumer: 'next' }));
        const seen: unknown[] = [];
        reader.read(10, ({ status, consumer }) => seen.push([status, consumer]));
        assert.deepEqual(seen, [[207, 'next']]);
      },
    ),
  );
});

test('a record that makes the taker throw is not met again', () => {
  const { ring, reader } = pair();
  ring.write(exchangeEnd({}, { status: 500 }));
  ring.write(exchangeEnd({}, { status: 200 }));
  const take = (record: PlainRecord) => {
    if (record.status === 500) throw new Error('refused');
  };
  assert.throws(() => reader.read(10, take), /refused/);
  assert.equal(reader.read(10, take), 1);
});

test('refuses sizes that are not a power of two', () => {
  for (const bytes of [0, 1024, 40_000, 2 ** 31])
    assert.throws(() => createRecordRing({ bytes }), RangeError);
});

test('shares figures of the worker', () => {
  const { ring, reader } = pair();
  ring.gauges[WORKER_GAUGE.connectionsActive] = 12;
  assert.equal(reader.gauges[WORKER_GAUGE.connectionsActive], 12);
});
