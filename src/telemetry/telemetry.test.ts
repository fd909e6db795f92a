import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rename } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { exchangeEnd } from '../model/exchange-end.fixture.ts';
import { createRecordRing, RecordRing, WORKER_GAUGE } from '../state/memory/record-ring.ts';
import { parseExposition } from './exposition-parser.fixture.ts';
import { Telemetry } from './telemetry.ts';
import type { TelemetrySettings } from './telemetry-settings.ts';

const folder = await mkdtemp(join(tmpdir(), 'telemetry-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const newFile = () => join(folder, `${files++}.log`);
const source = new URL('..', import.meta.url);

async function start(
  settings: Omit<TelemetrySettings, 'version'>,
  rings: ReadonlyMap<number, SharedArrayBuffer>,
  troubles: string[] = [],
): Promise<Telemetry> {
  return Telemetry.start({
    settings: { version: '0.1.0', ...settings },
    rings,
    onTrouble: (message) => troubles.push(message),
  });
}

async function scrape(telemetry: Telemetry, path = '/apisix/prometheus/metrics') {
  const { address, port } = telemetry.metricsAddress!;
  const [response] = await once(get({ host: address, port, path, agent: false }), 'response');
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += chunk;
  return { status: response.statusCode, type: response.headers['content-type'], body };
}

async function figures(telemetry: Telemetry) {
  const scraped = parseExposition((await scrape(telemetry)).body);
  return (name: string, labels: Record<string, string> = {}) =>
    scraped
      .get(name)
      ?.samples.filter((sample) =>
        Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
      )
      .reduce((sum, sample) => sum + sample.value, 0);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    assert.ok(tries < 500, 'in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const WRITER = `
  const { workerData } = require('node:worker_threads');
  Promise.all([
    import(workerData.source + 'state/memory/record-ring.ts'),
    import(workerData.source + 'model/exchange-end.fixture.ts'),
  ]).then(([{ RecordRing }, { exchangeEnd }]) => {
    const { memory, worker, count, pauseEvery } = workerData;
    const ring = new RecordRing(memory);
    const end = exchangeEnd();
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let index = 0; index < count; index++) {
      end.consumer = 'worker-' + worker;
      end.revision = index;
      end.status = 200 + (index % 5);
      ring.write(end);
      if (pauseEvery > 0 && index % pauseEvery === pauseEvery - 1) Atomics.wait(pause, 0, 0, 1);
    }
  });
`;

async function write(
  memory: SharedArrayBuffer,
  { worker, count, pauseEvery = 0 }: { worker: number; count: number; pauseEvery?: number },
): Promise<void> {
  const workerData = { memory, worker, count, pauseEvery, source: source.href };
  await once(new Worker(WRITER, { eval: true, workerData }), 'exit');
}

test('logs everything of several workers, each in its order, and counts it', async () => {
  const file = newFile();
  const rings = new Map([
    // With room for all of it: how soon the system gives time to whoever empties them is not the subject.
    [0, createRecordRing({ bytes: 1 << 22 })],
    [1, createRecordRing({ bytes: 1 << 22 })],
  ]);
  const telemetry = await start({ accessLog: { destination: { file } }, prometheus: { port: 0 } }, rings);
  await Promise.all(
    [...rings].map(([worker, memory]) => write(memory, { worker, count: 4000, pauseEvery: 50 })),
  );
  let figure = await figures(telemetry);
  // While the system takes its time to write the log, records wait in their rings, uncounted.
  for (let looks = 100; looks > 0 && figure('apisix_http_requests_total') !== 8000; looks--) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    figure = await figures(telemetry);
  }
  assert.equal(figure('apisix_http_requests_total'), 8000);
  assert.equal(figure('apisix_http_status', { code: '203' }), 1600);
  assert.equal(figure('sluice_records_dropped_total'), 0);
  assert.equal(await telemetry.stop(), 0);
  const lines = (await readFile(file, 'latin1')).trimEnd().split('\n');
  assert.equal(lines.length, 8000);
  const next = new Map<string, number>();
  for (const line of lines) {
    const { consumer, revision } = JSON.parse(line);
    assert.equal(revision, next.get(consumer) ?? 0);
    next.set(consumer, revision + 1);
  }
  assert.deepEqual([...next.values()], [4000, 4000]);
});

test('counts every Exchange by status when workers are far too fast', async () => {
  const rings = new Map([[0, createRecordRing({ bytes: 32768 })]]);
  const telemetry = await start({ prometheus: { port: 0 } }, rings);
  await write(rings.get(0)!, { worker: 0, count: 60_000 });
  const figure = await figures(telemetry);
  assert.equal(figure('apisix_http_requests_total'), 60_000);
  for (let code = 200; code < 205; code++) {
    assert.equal(figure('apisix_http_status', { code: String(code) }), 12_000);
  }
  assert.ok(figure('sluice_records_dropped_total', { worker: '0' })! > 0);
  await telemetry.stop();
});

test('loses no line at the end, though rings hold more than the log may', async () => {
  const file = newFile();
  const rings = new Map([0, 1, 2, 3].map((worker) => [worker, createRecordRing()]));
  const telemetry = await start({ accessLog: { destination: { file }, capBytes: 1 << 20 } }, rings);
  for (const memory of rings.values()) {
    const ring = new RecordRing(memory);
    for (let index = 0; index < 2000; index++) ring.write(exchangeEnd());
  }
  assert.equal(await telemetry.stop(), 0);
  assert.equal((await readFile(file, 'latin1')).split('\n').length, 8001);
});

test('takes over the ring of a replaced worker and keeps what the dead one had counted', async () => {
  const file = newFile();
  const first = createRecordRing();
  const telemetry = await start(
    { accessLog: { destination: { file } }, prometheus: { port: 0 } },
    new Map([[0, first]]),
  );
  const ring = new RecordRing(first);
  ring.gauges[WORKER_GAUGE.connectionsAccepted] = 5;
  ring.gauges[WORKER_GAUGE.connectionsActive] = 5;
  ring.write(exchangeEnd());
  const second = createRecordRing();
  telemetry.addRing(0, second);
  const successor = new RecordRing(second);
  successor.gauges[WORKER_GAUGE.connectionsAccepted] = 2;
  successor.gauges[WORKER_GAUGE.connectionsActive] = 1;
  successor.gauges[WORKER_GAUGE.revision] = 9;
  successor.write(exchangeEnd());
  telemetry.report({ evictions: { counters: 3 } });
  await until(async () => (await figures(telemetry))('sluice_evictions_total', { state: 'counters' }) === 3);
  const figure = await figures(telemetry);
  assert.equal(figure('apisix_http_requests_total'), 2);
  assert.equal(figure('sluice_worker_restarts_total'), 1);
  assert.equal(figure('sluice_config_revision', { worker: '0' }), 9);
  assert.equal(figure('apisix_nginx_http_current_connections', { state: 'accepted' }), 7);
  assert.equal(figure('apisix_nginx_http_current_connections', { state: 'active' }), 1);
  telemetry.removeRing(0);
  await telemetry.stop();
  assert.equal((await readFile(file, 'latin1')).split('\n').length, 3);
});

test('opens the log anew after logrotate', async () => {
  const file = newFile();
  const memory = createRecordRing();
  const ring = new RecordRing(memory);
  const telemetry = await start({ accessLog: { destination: { file } } }, new Map([[0, memory]]));
  ring.write(exchangeEnd({}, { revision: 1 }));
  await until(async () => (await readFile(file, 'latin1')) !== '');
  await rename(file, `${file}.1`);
  await telemetry.reopen();
  ring.write(exchangeEnd({}, { revision: 2 }));
  await telemetry.stop();
  const revisions = async (name: string) => JSON.parse(await readFile(name, 'latin1')).revision;
  assert.deepEqual([await revisions(`${file}.1`), await revisions(file)], [1, 2]);
});

test('keeps names of parameters that are told later out of the log', async () => {
  const file = newFile();
  const memory = createRecordRing();
  const ring = new RecordRing(memory);
  const telemetry = await start({ accessLog: { destination: { file } } }, new Map([[0, memory]]));
  telemetry.redact(['k']);
  // Answered after the names have arrived.
  await telemetry.reopen();
  ring.write(exchangeEnd({ target: '/a?k=s3cret' }));
  await telemetry.stop();
  assert.equal(JSON.parse(await readFile(file, 'latin1')).uri, '/a?k=***');
});

test('a log that nobody reads neither stops metrics nor the end, and its lines are counted', async () => {
  const fifo = newFile();
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  const rings = new Map([[0, createRecordRing()]]);
  const troubles: string[] = [];
  const telemetry = await start(
    { accessLog: { destination: { file: fifo }, capBytes: 262_144 }, prometheus: { port: 0 } },
    rings,
    troubles,
  );
  await write(rings.get(0)!, { worker: 0, count: 2000, pauseEvery: 100 });
  await until(async () => (await figures(telemetry))('apisix_http_requests_total') === 2000);
  const figure = await figures(telemetry);
  const dropped = figure('sluice_access_log_lines_dropped_total')!;
  assert.ok(dropped > 0);
  assert.equal(dropped + figure('sluice_access_log_lines_total')!, 2000);
  const lost = await telemetry.stop(100);
  assert.ok(lost > dropped && lost < 2000);
  assert.match(troubles[0], /lines are dropped/);
  closeSync(reader);
});

test('serves metrics on their path only', async () => {
  const telemetry = await start({ prometheus: { port: 0, path: '/m', prefix: 'x_' } }, new Map());
  assert.equal(telemetry.metricsAddress!.address, '127.0.0.1');
  assert.equal((await scrape(telemetry, '/')).status, 404);
  const { status, type, body } = await scrape(telemetry, '/m?a=1');
  assert.deepEqual([status, type], [200, 'text/plain; version=0.0.4; charset=utf-8']);
  assert.ok(parseExposition(body).has('x_http_requests_total'));
  const { port } = telemetry.metricsAddress!;
  const response = await fetch(`http://127.0.0.1:${port}/m`, {
    method: 'POST',
    headers: { connection: 'close' },
  });
  assert.equal(response.status, 405);
  await telemetry.stop();
});

test('says at the start when the port is taken or the file cannot be opened', async () => {
  const telemetry = await start({ prometheus: { port: 0 } }, new Map());
  const { port } = telemetry.metricsAddress!;
  await assert.rejects(start({ prometheus: { port } }, new Map()), /EADDRINUSE/);
  const file = join(folder, 'absent', 'access.log');
  await assert.rejects(start({ accessLog: { destination: { file } } }, new Map()), /ENOENT/);
  await telemetry.stop();
});

const PROGRAM = `
  import { Telemetry } from '${source.href}telemetry/telemetry.ts';
  import { createRecordRing, RecordRing } from '${source.href}state/memory/record-ring.ts';
  import { exchangeEnd } from '${source.href}model/exchange-end.fixture.ts';
  const memory = createRecordRing();
  const ring = new RecordRing(memory);
  const telemetry = await Telemetry.start({
    settings: { version: '0', accessLog: { destination: 'stdout' }, prometheus: { port: 0 } },
    rings: new Map([[0, memory]]),
    onTrouble: (message) => console.error(message),
  });
`;

test('starts the thread anew after a failure, with the rings that stand', async () => {
  const file = newFile();
  const memory = createRecordRing();
  const ring = new RecordRing(memory);
  const troubles: string[] = [];
  const telemetry = await start(
    { accessLog: { destination: { file } }, prometheus: { port: 0 } },
    new Map([[0, memory]]),
    troubles,
  );
  ring.write(exchangeEnd({}, { revision: 1 }));
  await until(async () => (await readFile(file, 'latin1')) !== '');
  const before = telemetry.metricsAddress;
  // Too small to be a ring.
  telemetry.addRing(1, new SharedArrayBuffer(16));
  telemetry.removeRing(1);
  await until(async () => troubles.length > 0);
  ring.write(exchangeEnd({}, { revision: 2 }));
  await until(async () => telemetry.metricsAddress !== before);
  assert.equal((await figures(telemetry))('apisix_http_requests_total'), 1);
  await telemetry.stop();
  const lines = (await readFile(file, 'latin1'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ revision, status }) => [revision, status]),
    [
      [1, 200],
      [2, 200],
    ],
  );
});

function programFile(program: string): string {
  const file = join(folder, `${files++}.ts`);
  writeFileSync(file, program);
  return file;
}

test('writes to standard output, and everything of it before the end', () => {
  const program = `${PROGRAM}
    for (let index = 0; index < 2000; index++) ring.write(exchangeEnd({}, { revision: index }));
    process.exitCode = await telemetry.stop();
  `;
  const { stdout, stderr, status } = spawnSync(process.execPath, [programFile(program)], {
    maxBuffer: 2 ** 24,
  });
  assert.equal(String(stderr), '');
  assert.equal(status, 0);
  const lines = stdout.toString('latin1').trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).revision),
    Array.from({ length: 2000 }, (_, index) => index),
  );
});

test('does not keep the process alive', () => {
  const { stderr, status } = spawnSync(
    process.execPath,
    [programFile(`${PROGRAM} ring.write(exchangeEnd());`)],
    { timeout: 10_000 },
  );
  assert.equal(String(stderr), '');
  assert.equal(status, 0);
});

for (const kind of ['pipe', 'socket']) {
  test(`ends although its standard output is a ${kind} that nobody reads`, async () => {
    const program = `${PROGRAM}
      for (let index = 0; index < 2000; index++) ring.write(exchangeEnd({}, { revision: index }));
      console.error((await telemetry.stop(100)) > 0);
    `;
    const fifo = newFile();
    execFileSync('mkfifo', [fifo]);
    // Blocking, as a shell makes it.
    const pipe = openSync(fifo, constants.O_RDWR);
    // What Node.js calls a pipe to a child is a pair of sockets; paused, it takes what its buffer holds.
    const child = spawn(process.execPath, [programFile(program)], {
      stdio: ['ignore', kind === 'pipe' ? pipe : 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr!.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
    assert.match(stderr, /true/);
    child.stdout?.destroy();
    closeSync(pipe);
  });
}
