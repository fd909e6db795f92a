// TCP by stream routes: real sockets, two workers, the whole program.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
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
