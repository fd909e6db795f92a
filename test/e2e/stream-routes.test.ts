// Which stream route a connection takes, what its plugins do, and how both change.
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

describe('stream routes', { concurrency: 3 }, () => {
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
      'plugin [key-auth] works on HTTP requests, not on stream routes; those that do: geo-restriction, ip-restriction, limit-conn, prometheus',
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
    const listed = await sluice.admin('GET', 'plugins/list?subsystem=stream');
    assert.deepEqual(JSON.parse(listed.body), [
      'ip-restriction',
      'geo-restriction',
      'limit-conn',
      'prometheus',
    ]);
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
});
