// TLS that is passed on as it is, by the server name that the client asks for; and TLS to Targets.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import tls from 'node:tls';
import { startWithFile } from '../support/config-file.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { RawClient, RawSocket } from '../support/raw.ts';
import { startStreamTarget } from '../support/stream-target.ts';

const certificate = readFileSync(
  path.join(import.meta.dirname, '../support/certificates/server.crt'),
  'utf8',
);
const options = { keepListeners: true, workers: 2 };
const TCP = '{ address: "127.0.0.1:0", protocol: tcp }';

/** Speaks TLS to the gateway's port; the certificate is the Target's own. */
function secureClient(port: number, servername: string): RawSocket {
  return new RawSocket(
    tls.connect({
      host: '127.0.0.1',
      port,
      servername,
      ca: certificate,
      checkServerIdentity: () => undefined,
    }),
  );
}

/** The first bytes that a TLS client sends. */
async function helloFor(servername: string): Promise<Buffer> {
  const { Duplex } = await import('node:stream');
  return new Promise((resolve) => {
    const wire = new Duplex({ read() {}, write: (bytes) => resolve(bytes) });
    tls.connect({ socket: wire, servername }).on('error', () => {});
  });
}

describe('TLS by server name', { concurrency: 3 }, () => {
  test('a name leads to its Target, a wildcard to all names below it, and no name to the rest', async (t) => {
    const [a, b, plain] = [
      await startStreamTarget(t, { greeting: 'A', tls: true }),
      await startStreamTarget(t, { greeting: 'B', tls: true }),
      await startStreamTarget(t, { greeting: 'plain' }),
    ];
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, ${TCP} ]
stream_routes:
  - { id: a, sni: a.example, upstream: { scheme: tcp, nodes: { "127.0.0.1:${a.port}": 1 } } }
  - { id: b, sni: "*.example", upstream: { scheme: tcp, nodes: { "127.0.0.1:${b.port}": 1 } } }
  - { id: rest, upstream: { scheme: tcp, nodes: { "127.0.0.1:${plain.port}": 1 } } }
`,
      options,
    );
    const [, port] = sluice.ports;
    for (const [name, said] of [
      ['a.example', 'A'],
      ['A.Example', 'A'],
      ['b.example', 'B'],
      ['deep.b.example', 'B'],
    ] as const) {
      const client = secureClient(port, name);
      await client.has(said);
      client.write('secret');
      await client.has(`${said}secret`);
      client.destroy();
    }
    const line = await eventually('its line', () =>
      sluice.accessLog.find(({ host }) => host === 'deep.b.example'),
    );
    assert.deepEqual([line.scheme, line.status, line.route_id], ['tls', 200, 'b']);

    const unknown = await RawClient.connect(port);
    const hello = await helloFor('elsewhere.test');
    unknown.write(hello);
    await unknown.has('plain');
    assert.ok(await eventually('the hello, whole', () => plain.received[0].length === hello.length));
    const other = await RawClient.connect(port);
    other.write('SSH-2.0-');
    await other.has('plainSSH-2.0-');
    for (const client of [unknown, other]) client.destroy();
  });

  test('a ClientHello in pieces is understood, half of one is not waited for for ever, nonsense is refused', async (t) => {
    const a = await startStreamTarget(t, { greeting: 'A' });
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, ${TCP} ]
client: { header_timeout: 0.2 }
stream_routes:
  - { id: a, sni: a.example, upstream: { scheme: tcp, nodes: { "127.0.0.1:${a.port}": 1 } } }
`,
      options,
    );
    const [, port] = sluice.ports;
    const hello = await helloFor('a.example');
    const pieces = await RawClient.connect(port);
    await pieces.writeSliced(hello, 97);
    await pieces.has((text) => text.length >= hello.length);
    assert.equal(a.received[0], hello.latin1Slice());
    pieces.destroy();

    const slow = await RawClient.connect(port);
    slow.write(hello.subarray(0, 60));
    assert.equal(await slow.finished(), '');
    const broken = await RawClient.connect(port);
    broken.write(Buffer.concat([hello.subarray(0, 5), Buffer.alloc(hello.length, 7)]));
    assert.equal(await broken.finished(), '');
    const stranger = await RawClient.connect(port);
    stranger.write(await helloFor('other.example'));
    assert.equal(await stranger.finished(), '');
    const lines = await eventually('their lines', () => sluice.accessLog.length === 4 && sluice.accessLog);
    const refused = lines.filter(({ status }) => status !== 200);
    assert.deepEqual(refused.map(({ status, reason }) => `${status} ${reason}`).sort(), [
      '400 bad_client_hello',
      '404 no_stream_route',
      '408 client_hello_timeout',
    ]);
  });

  test('the Target is spoken to by TLS where the Upstream says so, and must prove its name', async (t) => {
    const target = await startStreamTarget(t, { greeting: 'inside', tls: true });
    const [known, unknown] = [await freePort(), await freePort()];
    const ca = JSON.stringify(certificate);
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:${known}", protocol: tcp }, { address: "127.0.0.1:${unknown}", protocol: tcp } ]
stream_routes:
  - { id: known, server_port: ${known}, upstream: { scheme: tls, tls: { ca_certs: [ ${ca} ] }, nodes: { "127.0.0.1:${target.port}": 1 } } }
  - { id: unknown, server_port: ${unknown}, upstream: { scheme: tls, nodes: { "127.0.0.1:${target.port}": 1 } } }
`,
      options,
    );
    const client = await RawClient.connect(known);
    await client.has('inside');
    client.write('!');
    await client.has('inside!');
    client.socket.end();
    assert.equal(await client.finished(), 'inside!');
    const refused = await RawClient.connect(unknown);
    assert.equal(await refused.finished(), '');
    const line = await eventually('its line', () =>
      sluice.accessLog.find(({ route_id }) => route_id === 'unknown'),
    );
    assert.deepEqual([line.status, line.reason], [502, 'tls_failed']);
    assert.deepEqual(target.received, ['!']);
  });
});
