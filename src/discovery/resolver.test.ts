import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AddressRecord, type Lookups, NetworkLookups } from './lookups.ts';
import { Resolver, type ResolverOptions } from './resolver.ts';

const NO_HOSTS = '/nonexistent/hosts';

class ScriptedLookups implements Lookups {
  asked: string[] = [];
  records: Record<string, readonly AddressRecord[] | undefined> = {};
  known: Record<string, readonly string[] | undefined> = {};
  silent = false;

  async query(host: string, family: 4 | 6): Promise<readonly AddressRecord[]> {
    this.asked.push(`${host}/${family}`);
    if (this.silent) throw Object.assign(new Error('timeout'), { code: 'ETIMEOUT' });
    const records = this.records[`${host}/${family}`];
    if (records === undefined) throw Object.assign(new Error('no data'), { code: 'ENODATA' });
    return records;
  }

  async system(host: string): Promise<readonly string[]> {
    this.asked.push(`${host}/system`);
    const known = this.known[host];
    if (known === undefined || this.silent) throw new Error('unknown');
    return known;
  }

  cancel(): void {}
}

function scripted(t: TestContext, options: ResolverOptions = {}) {
  const lookups = new ScriptedLookups();
  const clock = { now: 0 };
  const resolver = new Resolver({ lookups, hostsFile: NO_HOSTS, now: () => clock.now, ...options });
  t.after(() => resolver.close());
  return { lookups, clock, resolver };
}

async function until(condition: () => boolean): Promise<void> {
  for (let wait = 0; !condition(); wait++) {
    assert.ok(wait < 1000, 'never came true');
    await sleep(5);
  }
}

test('an IP address is its own address, and nobody is asked', async (t) => {
  const { lookups, resolver } = scripted(t);
  resolver.watch('10.0.0.1', () => assert.fail('called back'))();
  assert.deepEqual(resolver.addresses('10.0.0.1'), ['10.0.0.1']);
  assert.deepEqual(await resolver.resolve('2001:db8::1'), ['2001:db8::1']);
  assert.deepEqual(lookups.asked, []);
});

test('prefers A records, takes AAAA where there are none, and asks the system last', async (t) => {
  const { lookups, resolver } = scripted(t);
  lookups.records = {
    'both/4': [{ address: '10.0.0.1', ttl: 9 }],
    'both/6': [],
    'six/6': [{ address: '::2', ttl: 9 }],
  };
  lookups.known = { short: ['10.0.0.9'] };
  assert.deepEqual(await resolver.resolve('both'), ['10.0.0.1']);
  assert.deepEqual(await resolver.resolve('SIX'), ['::2']);
  assert.deepEqual(await resolver.resolve('short'), ['10.0.0.9']);
  assert.deepEqual(lookups.asked, ['both/4', 'six/4', 'six/6', 'short/4', 'short/6', 'short/system']);
});

test('asks again when the TTL has passed, not earlier than a second and not later than an hour', async (t) => {
  const { lookups, clock, resolver } = scripted(t);
  const ends = { zero: [0, 1000], usual: [30, 30_000], endless: [604_800, 3_600_000] } as const;
  for (const [host, [ttl, end]] of Object.entries(ends)) {
    lookups.records[`${host}/4`] = [
      { address: '10.0.0.1', ttl: ttl + 5000 },
      { address: '10.0.0.2', ttl },
    ];
    await resolver.resolve(host);
    lookups.asked = [];
    clock.now += end - 1;
    await resolver.resolve(host);
    assert.deepEqual(lookups.asked, [], host);
    clock.now += 1;
    await resolver.resolve(host);
    assert.deepEqual(lookups.asked, [`${host}/4`], host);
  }
});

test('an unknown name fails at once while the pause lasts, and is asked for again after it', async (t) => {
  const { lookups, clock, resolver } = scripted(t);
  await assert.rejects(resolver.resolve('gone'), /no address found for gone/);
  assert.equal(resolver.addresses('gone'), undefined);
  const questions = lookups.asked.length;
  clock.now += 999;
  await assert.rejects(resolver.resolve('gone'));
  assert.equal(lookups.asked.length, questions);
  clock.now += 1;
  lookups.known = { gone: ['10.0.0.1'] };
  assert.deepEqual(await resolver.resolve('gone'), ['10.0.0.1']);
});

test('the pause after failures doubles up to its bound', async (t) => {
  const { lookups, clock, resolver } = scripted(t);
  for (const pause of [1000, 2000, 4000, 8000, 15_000, 15_000]) {
    await assert.rejects(resolver.resolve('gone'));
    lookups.asked = [];
    clock.now += pause - 1;
    await assert.rejects(resolver.resolve('gone'));
    assert.deepEqual(lookups.asked, []);
    clock.now += 1;
  }
});

test('asks once for all who ask at the same time', async (t) => {
  const { lookups, resolver } = scripted(t);
  lookups.records = { 'a/4': [{ address: '10.0.0.1', ttl: 9 }] };
  await Promise.all([resolver.resolve('a'), resolver.resolve('A'), resolver.resolve('a')]);
  assert.deepEqual(lookups.asked, ['a/4']);
});

test('knows what was released a moment ago, and calls nobody back after close', async (t) => {
  const { lookups, resolver } = scripted(t);
  lookups.records = { 'a/4': [{ address: '10.0.0.1', ttl: 9 }] };
  const changes: string[] = [];
  const release = resolver.watch('a', (host) => changes.push(host));
  await until(() => changes.length === 1);
  release();
  assert.deepEqual(resolver.addresses('a'), ['10.0.0.1']);
  resolver.watch('b', () => assert.fail('called back after close'));
  resolver.close();
  await sleep(20);
  assert.deepEqual(changes, ['a']);
});

test('takes the hosts file before any server', async (t) => {
  const lookups = new ScriptedLookups();
  lookups.records = { 'localhost/4': [{ address: '10.9.9.9', ttl: 1 }] };
  const resolver = new Resolver({ lookups });
  t.after(() => resolver.close());
  assert.deepEqual(await resolver.resolve('localhost'), ['127.0.0.1']);
  assert.deepEqual(lookups.asked, []);
});

/** A name server on loopback for one zone: A records of every name it is asked for. */
async function nameServer(t: TestContext) {
  const socket = createSocket('udp4');
  const server = { port: 0, addresses: ['10.0.0.1'], ttl: 60, silent: false, queries: 0 };
  socket.on('message', (query, peer) => {
    server.queries++;
    if (server.silent) return;
    let end = 12;
    while (query[end] !== 0) end += query[end] + 1;
    const question = query.subarray(12, end + 5);
    const wantsA = question.readUInt16BE(question.length - 4) === 1;
    const answers = wantsA ? server.addresses : [];
    // Header: the query's id; response, recursion desired and available; one question, n answers.
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(answers.length, 6);
    header.writeUInt32BE(0, 8);
    const records = answers.map((address) => {
      const record = Buffer.alloc(16);
      record.writeUInt16BE(0xc00c, 0);
      record.writeUInt16BE(1, 2);
      record.writeUInt16BE(1, 4);
      record.writeUInt32BE(server.ttl, 6);
      record.writeUInt16BE(4, 10);
      record.set(address.split('.').map(Number), 12);
      return record;
    });
    socket.send(Buffer.concat([header, question, ...records]), peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  server.port = socket.address().port;
  t.after(() => socket.close());
  return server;
}

test('follows a real name server: new answers, reordered ones, silence and return', async (t) => {
  const server = await nameServer(t);
  const network = new NetworkLookups({ servers: [`127.0.0.1:${server.port}`], timeoutMs: 50, tries: 1 });
  const resolver = new Resolver({
    lookups: {
      query: (host, family) => network.query(host, family),
      system: () => Promise.reject(new Error('not asked here')),
      cancel: () => network.cancel(),
    },
    hostsFile: NO_HOSTS,
    shortestMs: 20,
    // The answers say a minute; with this bound they are asked for again at once all the same.
    longestMs: 20,
    retryMs: 20,
    longestRetryMs: 40,
  });
  t.after(() => resolver.close());
  const changes: string[] = [];
  const asked = async () => {
    const before = server.queries;
    await until(() => server.queries >= before + 3);
  };
  const release = resolver.watch('orders.example', (host, addresses) => changes.push(`${host} ${addresses}`));
  await until(() => changes.length === 1);
  server.addresses = ['10.0.0.3', '10.0.0.2'];
  await until(() => changes.length === 2);
  server.addresses = ['10.0.0.2', '10.0.0.3'];
  await asked();
  server.silent = true;
  await asked();
  assert.deepEqual(resolver.addresses('orders.example'), ['10.0.0.2', '10.0.0.3']);
  server.silent = false;
  server.addresses = [];
  await asked();
  assert.deepEqual(await resolver.resolve('orders.example'), ['10.0.0.2', '10.0.0.3']);
  server.addresses = ['10.0.0.4'];
  await until(() => changes.length === 3);
  release();
  assert.deepEqual(changes, [
    'orders.example 10.0.0.1',
    'orders.example 10.0.0.2,10.0.0.3',
    'orders.example 10.0.0.4',
  ]);
});

test('a name server that is silent from the start makes the first use fail, not wait forever', async (t) => {
  const server = await nameServer(t);
  server.silent = true;
  const network = new NetworkLookups({ servers: [`127.0.0.1:${server.port}`], timeoutMs: 50, tries: 1 });
  const resolver = new Resolver({
    lookups: {
      query: (host, family) => network.query(host, family),
      system: () => Promise.reject(new Error('not asked here')),
      cancel: () => network.cancel(),
    },
    hostsFile: NO_HOSTS,
    retryMs: 20,
    longestRetryMs: 20,
  });
  t.after(() => resolver.close());
  const changes: string[] = [];
  resolver.watch('orders.example', (_, addresses) => changes.push(addresses.join()));
  await assert.rejects(resolver.resolve('orders.example'));
  assert.equal(resolver.addresses('orders.example'), undefined);
  server.silent = false;
  await until(() => changes.length === 1);
  assert.deepEqual(changes, ['10.0.0.1']);
});
