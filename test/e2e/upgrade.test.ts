import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { CertificateAuthority } from '../support/certificate-authority.ts';
import { place, startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { type Answer, call, tally } from '../support/http-call.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';
import { startStreamTarget, startUdpTarget, UdpClient } from '../support/stream-target.ts';
import { secureGet, TlsClient } from '../support/tls-client.ts';
import { ssl, startTls } from '../support/tls-gateway.ts';
import { hasEnded, Upgrading } from '../support/upgrading.ts';

const configuration = (upstream: string, workers = 2) => `
workers: ${workers}
shutdown: { grace: 30 }
admin: { enabled: true, address: 127.0.0.1:0 }
status: { enabled: true, address: 127.0.0.1:0 }
routes: [{ id: all, uri: /*, upstream: { nodes: { '${upstream}': 1 } } }]
`;

/** Clients that ask as fast as they are answered, until they are told to stop. */
class Load {
  readonly outcomes: string[] = [];
  #stopped = false;
  readonly #lanes: Promise<void>[] = [];

  add(count: number, ask: () => Promise<{ readonly status: number }>): void {
    for (let lane = 0; lane < count; lane++) this.#lanes.push(this.#run(ask));
  }

  async #run(ask: () => Promise<{ readonly status: number }>): Promise<void> {
    while (!this.#stopped) {
      const outcome = await ask().then(
        ({ status }) => String(status),
        (error: Error) => error.message,
      );
      this.outcomes.push(outcome);
    }
  }

  /** Waits for so many more answers. */
  async goOn(count: number): Promise<void> {
    const wanted = this.outcomes.length + count;
    await eventually('the load goes on', () => this.outcomes.length >= wanted);
  }

  async stop(): Promise<Record<string, number>> {
    this.#stopped = true;
    await Promise.all(this.#lanes);
    return tally(this.outcomes);
  }
}

test('three upgrades under load refuse and reset nothing, and end no request under way', async (t) => {
  const upgrading = new Upgrading(t);
  const held: (() => void)[] = [];
  const upstream = await startEcho(t, ({ url }, response) => {
    if (url === '/held') held.push(() => response.end('held'));
    return url === '/held';
  });
  const { sluice, write } = await startWithFile(t, configuration(upstream.address), {
    keepWorkers: true,
    accessLog: 'off',
  });
  const url = `${sluice.traffic}/x`;
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const load = new Load();
  load.add(4, () => call(url));
  load.add(4, () => call(url, { agent }));
  const others = new Load();
  const status = /^ {2}status +(\S+)/m.exec(sluice.stderr)?.[1] ?? '';
  others.add(1, () => call(sluice.metrics));
  others.add(1, () => call(status));
  const old: number[] = [];
  const slow: Promise<Answer>[] = [];
  // Fewer workers than sockets, and more.
  for (const workers of [1, 3, 2]) {
    await load.goOn(200);
    slow.push(sluice.call('/held'));
    await eventually('a request is under way', () => held.length === slow.length);
    write(configuration(upstream.address, workers));
    old.push(await upgrading.upgrade(sluice));
    held.at(-1)?.();
  }
  await load.goOn(200);
  for (const pid of old) await eventually(`process ${pid} has ended`, () => hasEnded(pid));
  await load.goOn(200);
  const outcomes = await load.stop();
  assert.deepEqual(Object.keys(outcomes), ['200'], JSON.stringify(outcomes));
  const asked = await others.stop();
  assert.deepEqual(Object.keys(asked), ['200'], JSON.stringify(asked));
  for (const answer of await Promise.all(slow)) assert.deepEqual([answer.status, answer.body], [200, 'held']);
  assert.equal(sluice.child.exitCode, 0);
  assert.deepEqual(
    [...sluice.stderr.matchAll(/\((\d) workers?\)/g)].map(([, count]) => count),
    ['2', '1', '3', '2'],
  );
});

test('with TLS no handshake is broken; a connection in the middle of one ends it', async (t) => {
  const upgrading = new Upgrading(t);
  const ca = CertificateAuthority.create(t);
  const { port, sluice } = await startTls(t, {
    ssls: [ssl('1', ['a.example'], ca.issue('a'))],
    options: { workers: 2, accessLog: 'off' },
  });
  const options = { servername: 'a.example' };
  const load = new Load();
  load.add(4, () => secureGet(port, '/x', options));
  const early = net.connect(port, '127.0.0.1');
  t.after(() => early.destroy());
  await load.goOn(20);
  const old = await upgrading.upgrade(sluice);
  const late = await TlsClient.connect(port, { ...options, socket: early });
  assert.equal((await late.get('/x')).status, 200);
  await load.goOn(20);
  await eventually('the old process has ended', () => hasEnded(old));
  await load.goOn(20);
  assert.deepEqual(Object.keys(await load.stop()), ['200']);
});

test('streams that are open go on, new ones of TCP and UDP find the new process', async (t) => {
  const upgrading = new Upgrading(t);
  const [tcp, udp] = [await startStreamTarget(t), await startUdpTarget(t, 'it')];
  const [tcpPort, udpPort] = [await freePort(), await freePort()];
  const { sluice } = await startWithFile(
    t,
    `
listeners:
  - { address: "127.0.0.1:0" }
  - { address: "127.0.0.1:${tcpPort}", protocol: tcp }
  - { address: "127.0.0.1:${udpPort}", protocol: udp }
stream_routes:
  - { id: t, server_port: ${tcpPort}, upstream: { scheme: tcp, nodes: { "127.0.0.1:${tcp.port}": 1 } } }
  - { id: u, server_port: ${udpPort}, upstream: { scheme: udp, nodes: { "127.0.0.1:${udp.port}": 1 } } }
`,
    { keepListeners: true, workers: 2, accessLog: 'off' },
  );
  const say = async (socket: net.Socket, text: string): Promise<string> => {
    const [answer] = await Promise.all([once(socket, 'data'), socket.write(text)]);
    return String(answer[0]);
  };
  const stream = net.connect(tcpPort, '127.0.0.1');
  t.after(() => stream.destroy());
  assert.equal(await say(stream, 'before'), 'before');
  const old = await upgrading.upgrade(sluice);
  assert.equal(await say(stream, 'during'), 'during');
  const later = net.connect(tcpPort, '127.0.0.1');
  t.after(() => later.destroy());
  assert.equal(await say(later, 'new'), 'new');
  for (const client of await Promise.all(Array.from({ length: 8 }, () => UdpClient.connect(t, udpPort)))) {
    await eventually('an answer', () => {
      client.send('x');
      return client.answers.length > 0;
    });
  }
  assert.equal(hasEnded(old), false);
  stream.end();
  await eventually('the old process has ended', () => hasEnded(old));
  assert.equal(await say(later, 'still'), 'still');
});

test('a new process that can not serve leaves the old one serving; the next try may do', async (t) => {
  const upgrading = new Upgrading(t);
  const upstream = await startEcho(t);
  const { sluice, write, logged } = await startWithFile(t, configuration(upstream.address), {
    keepWorkers: true,
    accessLog: 'off',
  });
  write('routes: [{ id: broken }]');
  await logged('configuration refused');
  sluice.signal('SIGUSR2');
  await logged('the upgrade failed, and this process goes on: it ended before it was ready (code 1)');
  assert.equal((await sluice.call('/x')).status, 200);
  assert.equal(sluice.child.exitCode, null);
  write(configuration(upstream.address));
  const from = sluice.log.length;
  const old = await upgrading.upgrade(sluice, from);
  assert.equal((await sluice.call('/x')).status, 200);
  await eventually('the old process has ended', () => hasEnded(old));
  assert.equal((await sluice.call('/x')).status, 200);
});

test('the Store goes to the new process with all that was acknowledged, and back when that one fails', async (t) => {
  const upgrading = new Upgrading(t);
  const folder = temporaryFolder(t);
  const taken = net.createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as net.AddressInfo;
  const settings = `${folder}/settings.yaml`;
  const listen = (...ports: number[]) =>
    place(settings, `listeners: [${ports.map((each) => `{ address: '127.0.0.1:${each}' }`)}]`);
  listen(0);
  const args = ['start', '--settings', settings, '--data', `${folder}/data`];
  const sluice = await SluiceProcess.start(t, { args, keepListeners: true, accessLog: 'off' });
  const kept: number[] = [];
  let next = 0;
  const load = new Load();
  load.add(2, async () => {
    const id = next++;
    const answer = await sluice.admin('PUT', `consumers/c${id}`, { username: `c${id}` });
    if (answer.status < 300) kept.push(id);
    else assert.match(answer.body, /taking over/);
    return { status: answer.status < 300 ? 200 : answer.status };
  });
  await load.goOn(10);
  // It has the Store already when it finds that it can't listen there.
  listen(0, port);
  sluice.signal('SIGUSR2');
  await eventually('the upgrade has failed', () =>
    sluice.log.some(({ message }) => message.startsWith('the upgrade failed')),
  );
  assert.match(sluice.stderr, /is in use by another program/);
  await eventually('writes are taken again', () => load.outcomes.at(-1) === '200');
  listen(0);
  const old = await upgrading.upgrade(sluice, sluice.log.length);
  await eventually('writes are taken again', () => load.outcomes.at(-1) === '200');
  await eventually('the old process has ended', () => hasEnded(old));
  await load.goOn(10);
  const outcomes = Object.keys(await load.stop()).sort();
  assert.ok(
    outcomes.every((outcome) => outcome === '200' || outcome === '503'),
    outcomes.join(),
  );
  const listed = await sluice.admin('GET', 'consumers');
  const there = new Set(
    listed.json().list.map(({ value }: { value: { username: string } }) => value.username),
  );
  assert.deepEqual(
    kept.filter((id) => !there.has(`c${id}`)),
    [],
  );
});
