// UDP by stream routes: sessions by client, two workers on one port.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { startUdpTarget, UdpClient } from '../support/stream-target.ts';

const options = { keepListeners: true, workers: 2 };

describe('UDP streams', { concurrency: 3 }, () => {
  test('answers find back to their clients, each of whom keeps its Target', async (t) => {
    const [one, two] = [await startUdpTarget(t, 'one'), await startUdpTarget(t, 'two')];
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:0", protocol: udp } ]
stream_routes:
  - id: dns
    upstream:
      scheme: udp
      timeout: { connect: 1, send: 0.2, read: 0.2 }
      nodes: { "127.0.0.1:${one.port}": 1, "127.0.0.1:${two.port}": 1 }
`,
      options,
    );
    const clients = await Promise.all(Array.from({ length: 8 }, () => UdpClient.connect(t, sluice.ports[1])));
    for (const [index, client] of clients.entries()) {
      client.send(`a${index}`);
      await eventually('an answer', () => client.answers.length === 1);
      client.send(`b${index}`);
      await eventually('another answer', () => client.answers.length === 2);
      const [name] = client.answers[0].split(':');
      assert.deepEqual(client.answers, [`${name}:a${index}`, `${name}:b${index}`]);
    }
    assert.equal(one.received.length, 8);
    assert.equal(two.received.length, 8);
    const lines = await eventually(
      'the ended sessions',
      () => sluice.accessLog.length === 8 && sluice.accessLog,
    );
    for (const line of lines) {
      assert.deepEqual(
        [line.scheme, line.status, line.route_id, line.client, line.bytes_in, line.bytes_out, line.reason],
        ['udp', 200, 'dns', '127.0.0.1', 4, 12, ''],
      );
    }
  });

  test('a Target that is not there ends the session, and the next datagram goes elsewhere', async (t) => {
    const there = await startUdpTarget(t, 'there');
    const closed = await freePort();
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:0", protocol: udp } ]
stream_routes:
  - { id: s, upstream: { scheme: udp, nodes: { "127.0.0.1:${closed}": 1, "127.0.0.1:${there.port}": 1 } } }
`,
      options,
    );
    for (let i = 0; i < 2; i++) {
      const client = await UdpClient.connect(t, sluice.ports[1]);
      await eventually('an answer', () => {
        client.send('?');
        return client.answers.length > 0;
      });
    }
    const line = await eventually('the failure', () => sluice.accessLog.find(({ status }) => status === 502));
    assert.equal(line.reason, 'target_refused');
  });

  test('there are no more sessions than allowed, and refused clients hear nothing', async (t) => {
    const target = await startUdpTarget(t, 'x');
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:0", protocol: udp } ]
client: { max_udp_sessions: 2 }
stream_routes:
  - id: s
    plugins: { ip-restriction: { blacklist: [ 10.0.0.0/8 ] } }
    upstream: { scheme: udp, nodes: { "127.0.0.1:${target.port}": 1 } }
`,
      { keepListeners: true, workers: 1 },
    );
    const clients = await Promise.all(Array.from({ length: 3 }, () => UdpClient.connect(t, sluice.ports[1])));
    for (const client of clients.slice(0, 2)) {
      client.send('?');
      await eventually('an answer', () => client.answers.length > 0);
    }
    clients[2].send('?');
    const line = await eventually('the refusal', () =>
      sluice.log.find(({ message }) => message === 'connection refused'),
    );
    assert.equal(line.reason, 'max_udp_sessions');
    clients[0].send('!');
    await eventually('the old ones go on', () => clients[0].answers.length === 2);
    assert.deepEqual(clients[2].answers, []);
    sluice.signal('SIGTERM');
    await sluice.exited;
    assert.deepEqual(
      sluice.accessLog.map(({ reason }) => reason),
      ['drained', 'drained'],
    );
  });
});
