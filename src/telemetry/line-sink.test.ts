import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, rmSync } from 'node:fs';
import { mkdtemp, readFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LineSink } from './line-sink.ts';

const folder = await mkdtemp(join(tmpdir(), 'line-sink-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const newFile = () => join(folder, `${files++}.log`);

function open(file: string, capBytes = 65_536, troubles: string[] = []): Promise<LineSink> {
  return LineSink.open({ destination: { file }, capBytes, onTrouble: (message) => troubles.push(message) });
}

/** Puts a line; false when it was dropped. */
function put(sink: LineSink, line: string, now = 0): boolean {
  if (!sink.reserve(line.length + 1)) return false;
  sink.commit(sink.position + sink.bytes.write(`${line}\n`, sink.position, 'latin1'), now);
  return true;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    assert.ok(tries < 500, 'in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const pause = () => new Promise((resolve) => setImmediate(resolve));

test('writes lines in order and appends to what is there', async () => {
  const file = newFile();
  for (const part of ['a', 'b']) {
    const sink = await open(file);
    for (let index = 0; index < 100; index++) put(sink, `${part}${index}`);
    await sink.close(2000);
  }
  const expected = ['a', 'b'].flatMap((part) =>
    Array.from({ length: 100 }, (_, index) => `${part}${index}\n`),
  );
  assert.equal(await readFile(file, 'latin1'), expected.join(''));
});

test('lets lines wait for others, but not for long', async () => {
  const file = newFile();
  const sink = await open(file);
  put(sink, 'first', 1000);
  sink.tick(1010);
  await pause();
  assert.equal(await readFile(file, 'latin1'), '');
  sink.tick(1100);
  await until(async () => (await readFile(file, 'latin1')) === 'first\n');
  await sink.close(2000);
});

test('refuses a file that cannot be opened', async () => {
  await assert.rejects(open(join(folder, 'absent', 'access.log')), /ENOENT/);
});

test('a pipe that nobody reads drops lines and counts them, keeps within its memory, and recovers', async () => {
  const fifo = newFile();
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  const troubles: string[] = [];
  const sink = await open(fifo, 65_536, troubles);
  const size = sink.bytes.length;
  const taken: number[] = [];
  const line = (index: number) => `${index}:`.padEnd(200, 'x');
  for (let index = 0; index < 5000; index++) {
    if (put(sink, line(index))) taken.push(index);
    assert.equal(sink.bytes.length, size);
    if (index % 50 === 0) await pause();
  }
  assert.ok(sink.dropped > 1000);
  assert.equal(taken.length + sink.dropped, 5000);
  assert.match(troubles[0], /lines are dropped/);

  let received = '';
  const buffer = Buffer.alloc(65_536);
  const drain = () => {
    try {
      received += buffer.toString('latin1', 0, readSync(reader, buffer));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    }
  };
  await until(() => {
    drain();
    sink.tick(1e6);
    return received.length === taken.length * 201;
  });
  assert.equal(received, taken.map((index) => `${line(index)}\n`).join(''));
  assert.ok(put(sink, 'after'));
  await sink.close(2000);
  drain();
  assert.ok(received.endsWith('\nafter\n'));
  assert.match(troubles.at(-1)!, /goes on after \d+ dropped lines/);
  closeSync(reader);
});

test('gives up at the end on a pipe that nobody reads, and counts what is lost', async () => {
  const fifo = newFile();
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  const sink = await open(fifo, 262_144);
  for (let index = 0; index < 1000; index++) put(sink, 'y'.repeat(199));
  await sink.close(50);
  const buffer = Buffer.alloc(262_144);
  let received = 0;
  try {
    for (;;) received += readSync(reader, buffer);
  } catch {
    // Nothing more is there.
  }
  assert.equal(Math.floor(received / 200) + sink.dropped, 1000);
  assert.ok(sink.dropped > 0);
  closeSync(reader);
});

test('keeps lines while the disk is full, says so once, and drops only beyond its memory', async () => {
  const troubles: string[] = [];
  const sink = await open('/dev/full', 65_536, troubles);
  let taken = 0;
  for (let index = 0; index < 1000; index++) {
    if (put(sink, 'z'.repeat(199))) taken++;
    await pause();
  }
  assert.ok(taken > 200 && taken < 1000);
  await sink.close(50);
  assert.equal(sink.dropped, 1000);
  assert.equal(troubles.filter((message) => /ENOSPC/.test(message)).length, 1);
});

test('tries no more once it is closed, also when it was in the middle of a write', async () => {
  for (let patienceMs = 0; patienceMs < 10; patienceMs++) {
    const troubles: string[] = [];
    const sink = await open('/dev/full', 65_536, troubles);
    put(sink, 'lost');
    await sink.close(patienceMs);
    assert.equal(sink.dropped, 1);
  }
  // Whatever they still had in the system has come back, and left nothing that keeps the process alive.
  await until(
    () => !process.getActiveResourcesInfo().some((name) => name === 'FSReqCallback' || name === 'Timeout'),
  );
});

test('goes on in a new file after the old one was renamed, and loses nothing', async () => {
  const file = newFile();
  const sink = await open(file);
  const lines = Array.from({ length: 3000 }, (_, index) => `line ${index}`);
  for (const [index, line] of lines.entries()) {
    put(sink, line, index);
    sink.tick(index);
    if (index % 1000 === 500) {
      await until(async () => (await readFile(file)).length > 0);
      await rename(file, `${file}.${index}`);
      const reopened = sink.reopen();
      put(sink, `while reopening ${index}`, index);
      await reopened;
    }
    if (index % 20 === 0) await pause();
  }
  await sink.close(2000);
  const parts = await Promise.all(
    [`${file}.500`, `${file}.1500`, `${file}.2500`, file].map((name) => readFile(name, 'latin1')),
  );
  for (const part of parts) assert.match(part, /\n$/, 'files end with whole lines');
  const found = parts
    .join('')
    .split('\n')
    .filter((line) => line.startsWith('line'));
  assert.deepEqual(found, lines);
  assert.equal(sink.dropped, 0);
});

test('keeps the old file when the new one cannot be opened', async () => {
  const file = newFile();
  const troubles: string[] = [];
  const sink = await open(file, 65_536, troubles);
  await rename(file, `${file}.1`);
  execFileSync('mkdir', [file]);
  await sink.reopen();
  put(sink, 'still here');
  await sink.close(2000);
  assert.equal(await readFile(`${file}.1`, 'latin1'), 'still here\n');
  assert.match(troubles[0], /can't be opened again: EISDIR/);
});
