// What is not configured costs nothing: a request on a bare Route makes no promise and hardly any
// garbage. Measured on the engine alone, with connections made of memory.
import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ClientConnection } from '../../src/http/client-connection.ts';
import { ConnectionPool } from '../../src/http/connection-pool.ts';
import { type Transport, type TransportOwner, WRITTEN, type WriteResult } from '../../src/http/transport.ts';
import type { PoolOptions } from '../../src/http/upstream-pool.ts';
import { Gateway, route } from '../support/gateway.ts';

/** A connection whose other end is the test. */
class MemoryTransport implements Transport {
  readonly tls = null;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 1;
  readonly localPort = 2;
  readonly localAddress = '127.0.0.1';
  readonly unsent = 0;
  writes = 0;
  bytes = 0;
  last = 0;

  write(bytes: Buffer, start: number, end: number): WriteResult {
    this.writes++;
    this.bytes += end - start;
    this.last = bytes[end - 1];
    return WRITTEN;
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
  reset(): void {}
}

const GET = Buffer.from(
  'GET /api/v1/orders/1?page=2 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test/1\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\n\r\n',
);
const POST = Buffer.from(
  `POST /api/v1/orders HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n${'x'.repeat(400)}`,
);
const ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Length: 1000\r\n\r\n${'y'.repeat(1000)}`,
);

class Bench {
  // What a record costs is the sink's business.
  readonly gateway = new Gateway({
    routes: [route('all', 80)],
    sink: { wantsDetail: true, write: () => {} },
  });
  readonly up = new MemoryTransport();
  readonly down = new MemoryTransport();
  readonly client: ClientConnection;
  #upstream!: TransportOwner;

  constructor() {
    const connect = (_address: string, owner: TransportOwner): Transport => {
      this.#upstream = owner;
      queueMicrotask(() => owner.onConnected());
      return this.up;
    };
    let pool: ConnectionPool | undefined;
    this.gateway.pools.hold = (_target, options: PoolOptions) =>
      (pool ??= new ConnectionPool({ ...options, maxRequests: 0 }, connect));
    this.client = new ClientConnection(this.gateway.dataPlane, () => this.down);
  }

  one(request: Buffer): void {
    this.client.onData(request, 0, request.length);
    this.#upstream.onData(ANSWER, 0, ANSWER.length);
  }

  /** Makes the connection to the Upstream, then lets the compiler do its work. */
  async warmUp(request: Buffer): Promise<void> {
    this.client.onData(request, 0, request.length);
    await Promise.resolve();
    await Promise.resolve();
    this.#upstream.onData(ANSWER, 0, ANSWER.length);
    for (let i = 0; i < 20_000; i++) this.one(request);
  }
}

let collect: () => void;
before(() => {
  setFlagsFromString('--expose-gc');
  collect = runInNewContext('gc') as () => void;
});

/** Bytes of garbage per request: what a stretch too short for a collection leaves, the least of some. */
function garbage(bench: Bench, request: Buffer): number {
  const REQUESTS = 500;
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 10; attempt++) {
    collect();
    const start = process.memoryUsage().heapUsed;
    for (let i = 0; i < REQUESTS; i++) bench.one(request);
    const grown = process.memoryUsage().heapUsed - start;
    if (grown >= 0) least = Math.min(least, grown / REQUESTS);
  }
  return least;
}

for (const [name, request] of [
  ['GET', GET],
  ['POST', POST],
] as const) {
  test(`a bare Route makes no promise and little garbage for a ${name}`, async () => {
    const bench = new Bench();
    await bench.warmUp(request);
    const { writes } = bench.down;
    assert.equal(writes, 20_001);
    assert.equal(bench.up.writes, 20_001, 'one write for each message');

    let promises = 0;
    const hook = createHook({
      init(_id, type) {
        if (type === 'PROMISE') promises++;
      },
    }).enable();
    for (let i = 0; i < 1000; i++) bench.one(request);
    hook.disable();
    assert.equal(promises, 0);

    const bytes = garbage(bench, request);
    // What is left is the id and the path as texts for router and record, and numbers for clocks:
    // 200 to 300 bytes. A view, a closure or an array for each message would be 100 more apiece.
    assert.ok(bytes < 500, `${bytes} bytes per request`);
  });
}
