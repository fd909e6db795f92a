// TCP by stream routes: real sockets, two workers, the whole program.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { startStreamTarget } from '../support/stream-target.ts';

const listeners = (...more: string[]) =>
  ['listeners:', '  - address: 127.0.0.1:0', ...more.map((line) => `  - ${line}`), ''].join('\n');
const TCP = '{ address: "127.0.0.1:0", protocol: tcp }';
const options = { keepListeners: true, workers: 2 };

describe('TCP streams', { concurrency: 3 }, () => {
  test('bytes pass both ways, half-closes too, and each connection has a line', async (t) => {
    const target = await startStreamTarget(t, { greeting: 'hello\n', farewell: 'bye\n' });
    const { sluice } = await startWithFile(
      t,
      `${listeners(TCP)}stream_routes:
  - { id: echo, name: Echo, upstream: { id: u, scheme: tcp, nodes: { "127.0.0.1:${target.port}": 1 } } }
`.replace('id: u, ', ''),
      options,
    );
    const client = await RawClient.connect(sluice.ports[1]);
    await client.has('hello\n');
    client.write('ping');
    await client.has('hello\nping');
    client.socket.end();
    assert.equal(await client.finished(), 'hello\npingbye\n');
    assert.equal(client.ending, 'end');
    const line = await eventually('a line', () => sluice.accessLog[0]);
    assert.deepEqual(
      {
        ...line,
        time: 0,
        request_id: line.request_id.length,
        duration_ms: line.duration_ms >= 0,
        upstream_ms: line.upstream_ms >= 0,
      },
      {
        time: 0,
        request_id: 32,
        client: '127.0.0.1',
        method: '',
        uri: '',
        host: '',
        http_version: '',
        scheme: 'tcp',
        status: 200,
        source: 'upstream',
        reason: '',
        upstream_status: null,
        upstream_target: `127.0.0.1:${target.port}`,
        attempts: 1,
        route_id: 'echo',
        route_name: 'Echo',
        service_id: '',
        service_name: '',
        upstream_id: '',
        consumer: '',
        bytes_in: 4,
        bytes_out: 14,
        duration_ms: true,
        upstream_ms: true,
        user_agent: '',
        revision: 1,
      },
    );
  });

  test('megabytes arrive whole, whoever reads slowly', async (t) => {
    const target = await startStreamTarget(t);
    const { sluice } = await startWithFile(
      t,
      `${listeners(TCP)}stream_routes:
  - { id: echo, upstream: { scheme: tcp, nodes: { "127.0.0.1:${target.port}": 1 } } }
`,
      options,
    );
    const client = await RawClient.connect(sluice.ports[1]);
    const sent = Buffer.alloc(8 << 20, 'abcdefghijklmnopqrstuvwxyz0123456789\n');
    client.socket.pause();
    client.write(sent);
    client.socket.end();
    // The echo is not read until it can't go on: all on the way must wait for us.
    await eventually('the client to be held up', () => client.socket.writableLength > 0);
    client.socket.resume();
    await client.finished();
    assert.ok(client.received.equals(sent));
  });

  test('a Target that refuses is passed over; without another the connection ends and the line says why', async (t) => {
    const target = await startStreamTarget(t, { greeting: 'here' });
    const [closed, hopeless] = [await freePort(), await freePort()];
    const { sluice } = await startWithFile(
      t,
      `${listeners(TCP, `{ address: "127.0.0.1:${hopeless}", protocol: tcp }`)}stream_routes:
  - { id: both, upstream: { scheme: tcp, nodes: { "127.0.0.1:${closed}": 1, "127.0.0.1:${target.port}": 1 } } }
  - { id: none, server_port: ${hopeless}, upstream: { scheme: tcp, nodes: { "127.0.0.1:${closed}": 1 } } }
`,
      options,
    );
    for (let i = 0; i < 4; i++) {
      const client = await RawClient.connect(sluice.ports[1]);
      await client.has('here');
      client.socket.end();
      await client.finished();
    }
    const client = await RawClient.connect(hopeless);
    assert.equal(await client.finished(), '');
    const lines = await eventually('the lines', () => sluice.accessLog.length === 5 && sluice.accessLog);
    const served = lines.filter(({ route_id }) => route_id === 'both');
    assert.deepEqual(
      served.map(({ status, upstream_target }) => `${status} ${upstream_target}`),
      Array.from({ length: 4 }, () => `200 127.0.0.1:${target.port}`),
    );
    assert.ok(served.some(({ attempts }) => attempts === 2));
    const failed = lines.find(({ route_id }) => route_id === 'none');
    assert.deepEqual([failed.status, failed.source, failed.reason], [502, 'gateway', 'connect_failed']);
  });

  test('routes are matched by port and address, and what matches none is closed', async (t) => {
    const [one, two] = [
      await startStreamTarget(t, { greeting: 'one' }),
      await startStreamTarget(t, { greeting: 'two' }),
    ];
    const [first, second, third] = [await freePort(), await freePort(), await freePort()];
    const closed = await freePort();
    const { sluice } = await startWithFile(
      t,
      `${listeners(...[first, second, third].map((port) => `{ address: "127.0.0.1:${port}", protocol: tcp }`))}
stream_routes:
  - { id: a, server_port: ${first}, upstream: { scheme: tcp, nodes: { "127.0.0.1:${one.port}": 1 } } }
  - { id: b, server_port: ${second}, remote_addr: 127.0.0.0/8, upstream: { scheme: tcp, nodes: { "127.0.0.1:${two.port}": 1 } } }
  - { id: c, server_port: ${second}, upstream: { scheme: tcp, nodes: { "127.0.0.1:${one.port}": 1 } } }
  - { id: d, server_port: ${third}, remote_addr: 10.0.0.0/8, upstream: { scheme: tcp, nodes: { "127.0.0.1:${one.port}": 1 } } }
  - { id: e, server_addr: 127.0.0.9, upstream: { scheme: tcp, nodes: { "127.0.0.1:${closed}": 1 } } }
`,
      options,
    );
    assert.deepEqual(sluice.ports.slice(1), [first, second, third]);
    const greeting = async (port: number) => {
      const client = await RawClient.connect(port);
      const text = await client.has((said) => said.length === 3 || client.ending !== 'open');
      client.destroy();
      return text;
    };
    assert.equal(await greeting(first), 'one');
    assert.equal(await greeting(second), 'two');
    assert.equal(await greeting(third), '');
    const refused = await eventually('its line', () => sluice.accessLog.find(({ status }) => status === 404));
    assert.equal(refused.reason, 'no_stream_route');
    assert.equal(refused.source, 'gateway');
  });

  test('a changed configuration leaves connections alone and serves new ones', async (t) => {
    const [one, two] = [
      await startStreamTarget(t, { greeting: 'one' }),
      await startStreamTarget(t, { greeting: 'two' }),
    ];
    const port = await freePort();
    const config = (target: number) => `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:${port}", protocol: tcp } ]
upstreams: [ { id: u, type: least_conn, scheme: tcp, nodes: { "127.0.0.1:${target}": 1 } } ]
stream_routes: [ { id: echo, upstream_id: u } ]
`;
    const gateway = await startWithFile(t, config(one.port), options);
    const old = await RawClient.connect(port);
    await old.has('one');
    gateway.write(config(two.port));
    await gateway.logged('configuration reloaded');
    const fresh = await RawClient.connect(port);
    await fresh.has('two');
    // Longer than it takes to let go of the old Upstream.
    await new Promise((resolve) => setTimeout(resolve, 100));
    old.write(' still');
    await old.has('one still');
    gateway.write(config(two.port).replace('stream_routes: [ { id: echo, upstream_id: u } ]', ''));
    await gateway.logged('configuration reloaded', 1);
    old.write(' here');
    await old.has('one still here');
    const refused = await RawClient.connect(port);
    await refused.finished();
    for (const client of [old, fresh, refused]) client.destroy();
  });

  test('a reset by either side reaches the other', async (t) => {
    const target = await startStreamTarget(t, { greeting: 'hi', resetOn: 'reset me' });
    const { sluice } = await startWithFile(
      t,
      `${listeners(TCP)}stream_routes:
  - { id: echo, upstream: { scheme: tcp, nodes: { "127.0.0.1:${target.port}": 1 } } }
`,
      options,
    );
    const one = await RawClient.connect(sluice.ports[1]);
    await one.has('hi');
    one.write('reset me');
    await one.finished();
    assert.equal(one.ending, 'reset');
    const two = await RawClient.connect(sluice.ports[1]);
    await two.has('hi');
    two.reset();
    await eventually('the Target is free', () => target.open === 0);
    const reasons = await eventually(
      'both lines',
      () => sluice.accessLog.length === 2 && sluice.accessLog.map(({ reason }) => reason),
    );
    assert.deepEqual(reasons.sort(), ['client_reset', 'target_reset']);
  });

  test('ip-restriction and limit-conn hold on stream routes; other plugins are refused by name', async (t) => {
    const target = await startStreamTarget(t, { greeting: 'in' });
    const [open, shut] = [await freePort(), await freePort()];
    const upstream = `upstream: { scheme: tcp, nodes: { "127.0.0.1:${target.port}": 1 } }`;
    const config = `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:${open}", protocol: tcp }, { address: "127.0.0.1:${shut}", protocol: tcp } ]
stream_routes:
  - id: open
    server_port: ${open}
    plugins:
      limit-conn: { conn: 2, burst: 0, default_conn_delay: 0.1, key: remote_addr }
      prometheus: {}
    ${upstream}
  - { id: shut, server_port: ${shut}, plugins: { ip-restriction: { whitelist: [ 10.0.0.0/8 ] } }, ${upstream} }
`;
    const gateway = await startWithFile(t, config, options);
    const { sluice } = gateway;
    const stranger = await RawClient.connect(shut);
    assert.equal(await stranger.finished(), '');
    const inside = [await RawClient.connect(open), await RawClient.connect(open)];
    for (const client of inside) await client.has('in');
    const third = await RawClient.connect(open);
    assert.equal(await third.finished(), '');
    inside[0].destroy();
    await eventually('a place is free', async () => {
      const client = await RawClient.connect(open);
      const said = await client.has((text) => text === 'in' || client.ending !== 'open');
      client.destroy();
      return said === 'in';
    });
    const line = (reason: string) => sluice.accessLog.find((entry) => entry.reason === reason)?.status;
    assert.equal(await eventually('a refusal by address', () => line('ip_restriction')), 403);
    assert.equal(await eventually('a refusal by number', () => line('limit_conn')), 503);
    const metrics = await eventually('the metric', async () => {
      const text = await (await fetch(sluice.metrics)).text();
      return /^apisix_stream_connection_total\{route="open"\} \d+$/m.test(text) && text;
    });
    assert.doesNotMatch(metrics, /stream_connection_total\{route="shut"\}/);
    gateway.write(config.replace('ip-restriction: { whitelist: [ 10.0.0.0/8 ] }', 'key-auth: {}'));
    await gateway.logged(
      'plugin [key-auth] works on HTTP requests, not on stream routes; those that do: ip-restriction, limit-conn, prometheus',
    );
  });

  test('the Admin API changes stream routes while they serve', async (t) => {
    const target = await startStreamTarget(t, { greeting: 'hi' });
    const folder = temporaryFolder(t);
    const file = path.join(folder, 'settings.yaml');
    writeFileSync(file, listeners(TCP));
    const sluice = await SluiceProcess.start(t, {
      ...options,
      args: ['start', '--settings', file, '--data', path.join(folder, 'data')],
    });
    const [, port] = sluice.ports;
    const before = await RawClient.connect(port);
    assert.equal(await before.finished(), '');
    await sluice.put('upstreams/u', { type: 'roundrobin', scheme: 'tcp', nodes: { '127.0.0.1:1': 1 } });
    await sluice.put('services/s', { upstream_id: 'u' });
    await sluice.put('stream_routes/r', { service_id: 's' });
    await sluice.put('upstreams/u', {
      type: 'roundrobin',
      scheme: 'tcp',
      nodes: { [`127.0.0.1:${target.port}`]: 1 },
    });
    const client = await RawClient.connect(port);
    await client.has('hi');
    const refused = await sluice.admin('PUT', 'stream_routes/r', { service_id: 's', plugins: { cors: {} } });
    assert.equal(refused.status, 400);
    assert.match(refused.body, /plugin \[cors\] works on HTTP requests, not on stream routes/);
    // What a Service needs HTTP for can't be left out: the connection is not served.
    await sluice.put('services/s', { upstream_id: 'u', plugins: { 'key-auth': {} } });
    const protectedOne = await RawClient.connect(port);
    assert.equal(await protectedOne.finished(), '');
    const line = await eventually('the reason', () =>
      sluice.log.find(({ message }) =>
        message.includes('plugin [key-auth] of services/s works on HTTP requests'),
      ),
    );
    assert.equal(line.route_id, 'r');
    client.write('!');
    await client.has('hi!');
    client.destroy();
  });

  test('clients with the same address reach the same Target by chash', async (t) => {
    const targets = [
      await startStreamTarget(t, { greeting: 'A' }),
      await startStreamTarget(t, { greeting: 'B' }),
      await startStreamTarget(t, { greeting: 'C' }),
    ];
    const nodes = targets.map(({ port }) => `"127.0.0.1:${port}": 1`).join(', ');
    const { sluice } = await startWithFile(
      t,
      `${listeners(TCP)}stream_routes:
  - { id: s, upstream: { scheme: tcp, type: chash, key: remote_addr, nodes: { ${nodes} } } }
`,
      options,
    );
    const said = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const client = await RawClient.connect(sluice.ports[1]);
      said.add(await client.has(/./));
      client.destroy();
    }
    assert.equal(said.size, 1);
  });

  test('a silent connection ends after its timeout, a process that stops ends all', async (t) => {
    const target = await startStreamTarget(t, { greeting: 'hi' });
    const port = await freePort();
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:0", protocol: tcp }, { address: "127.0.0.1:${port}", protocol: tcp } ]
shutdown: { grace: 0.1 }
stream_routes:
  - { id: short, upstream: { scheme: tcp, timeout: { connect: 1, send: 0.2, read: 0.2 }, nodes: { "127.0.0.1:${target.port}": 1 } } }
  - { id: long, server_port: ${port}, upstream: { scheme: tcp, nodes: { "127.0.0.1:${target.port}": 1 } } }
`,
      options,
    );
    const short = await RawClient.connect(sluice.ports[1]);
    assert.equal(await short.finished(), 'hi');
    const long = await RawClient.connect(port);
    await long.has('hi');
    sluice.signal('SIGTERM');
    await long.finished();
    await sluice.exited;
    const reasons = sluice.accessLog.map(({ route_id, reason }) => `${route_id} ${reason}`);
    assert.deepEqual(reasons.sort(), ['long drained', 'short idle_timeout']);
  });
});
