// The PROXY protocol, in and out, for HTTP and TCP; and limits for connections.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { startWithFile } from '../support/config-file.ts';
import { type Scope, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { RawClient } from '../support/raw.ts';
import { startStreamTarget } from '../support/stream-target.ts';

const run = promisify(execFile);
const V2_SIGNATURE = '0d0a0d0a000d0a515549540a';
/** 2001:db8::7, port 5000, to 2001:db8::1, port 80, with a TLV of two bytes. */
const V2_IPV6 = Buffer.from(
  `${V2_SIGNATURE}21210029${'20010db8000000000000000000000007'}${'20010db8000000000000000000000001'}13880050${'040002abcd'}`,
  'hex',
);
const V2_LOCAL = Buffer.from(`${V2_SIGNATURE}20000000`, 'hex');
const GET = 'GET /who HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n';

const field = (rawHeaders: readonly string[], name: string) => rawHeaders[rawHeaders.indexOf(name) + 1];

/** What came first on each connection, up to a line end. */
async function startLineTarget(scope: Scope): Promise<{ port: number; connections: Buffer[] }> {
  const connections: Buffer[] = [];
  const server = net.createServer((socket) => {
    const index = connections.push(Buffer.alloc(0)) - 1;
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      connections[index] = Buffer.concat([connections[index], bytes]);
      if (connections[index].latin1Slice().endsWith('\r\n\r\n'))
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  scope.after(() => {
    server.close();
  });
  return { port: (server.address() as net.AddressInfo).port, connections };
}

describe('PROXY protocol', { concurrency: 3 }, () => {
  test('in front of HTTP: the client is the one of the header, for Upstream, plugins and log', async (t) => {
    const echo = await startEcho(t);
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:0", proxy_protocol: true } ]
trusted_addresses: [ 127.0.0.1 ]
client: { header_timeout: 0.5 }
routes:
  - { id: all, uri: "/who", upstream: { nodes: { "${echo.address}": 1 } } }
  - { id: shut, uri: "/shut", plugins: { ip-restriction: { blacklist: [ "2001:db8::/32" ] } }, upstream: { nodes: { "${echo.address}": 1 } } }
`,
      { keepListeners: true, workers: 2 },
    );
    const [, port] = sluice.ports;
    const { stdout } = await run('curl', ['-sS', '--haproxy-protocol', `http://127.0.0.1:${port}/who`]);
    const seen = JSON.parse(stdout);
    assert.equal(field(seen.rawHeaders, 'X-Real-IP'), '127.0.0.1');

    const talk = async (header: Buffer | string, request = GET, slice = 0): Promise<string> => {
      const client = await RawClient.connect(port);
      const bytes = Buffer.concat([
        typeof header === 'string' ? Buffer.from(header) : header,
        Buffer.from(request),
      ]);
      if (slice > 0) await client.writeSliced(bytes, slice);
      else client.write(bytes);
      const text = await client.finished();
      client.destroy();
      return text;
    };
    assert.match(await talk('PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n', GET, 1), /200 OK/);
    assert.match(await talk(V2_IPV6), /200 OK/);
    assert.match(await talk(V2_IPV6, GET.replace('/who', '/shut')), /403 Forbidden/);
    const [, v1, v2] = echo.requests.map(({ rawHeaders }) => rawHeaders);
    // The header's client is nobody whose X-Forwarded-For is believed.
    assert.equal(field(v1, 'X-Forwarded-For'), '192.0.2.7');
    assert.equal(field(v1, 'X-Real-IP'), '192.0.2.7');
    assert.equal(field(v2, 'X-Forwarded-For'), '2001:db8::7');
    // A hop that speaks for itself is a hop.
    assert.match(await talk(V2_LOCAL), /200 OK/);
    assert.match(await talk('PROXY UNKNOWN\r\n'), /200 OK/);
    assert.equal(field(echo.requests[3].rawHeaders, 'X-Real-IP'), '6.6.6.6');

    assert.equal(await talk('', GET), '');
    assert.equal(await talk('PROXY TCP4 192.0.2.7 192.0.2.1 5000 99999\r\n'), '');
    const silent = await RawClient.connect(port);
    assert.equal(await silent.finished(), '');
    const clients = await eventually(
      'the lines',
      () => sluice.accessLog.length === 6 && sluice.accessLog.map(({ client }) => client),
    );
    assert.deepEqual(clients.slice().sort(), [
      '127.0.0.1',
      '192.0.2.7',
      '2001:db8::7',
      '2001:db8::7',
      '6.6.6.6',
      '6.6.6.6',
    ]);
    const refused = await eventually('the refusals', () => {
      const lines = sluice.log.filter(({ message }) => message === 'connection refused');
      // Each reason has a line of its own, and one more when there were several.
      const reasons = new Set(lines.map(({ reason }) => reason));
      return reasons.size >= 2 && [...reasons].sort();
    });
    assert.deepEqual(refused, ['proxy_protocol_bad', 'proxy_protocol_timeout']);
  });

  test('nobody but trusted hops gets in', async (t) => {
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:0", proxy_protocol: true } ]
trusted_addresses: [ 10.0.0.0/8 ]
`,
      { keepListeners: true },
    );
    const client = await RawClient.connect(sluice.ports[1]);
    assert.equal(await client.finished(), '');
    const line = await eventually('a line', () =>
      sluice.log.find(({ message }) => message === 'connection refused'),
    );
    assert.deepEqual([line.reason, line.client], ['proxy_protocol_untrusted', '127.0.0.1']);
  });

  test('in front of TCP, and on to the Target as version 2', async (t) => {
    const target = await startStreamTarget(t);
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:0", protocol: tcp, proxy_protocol: true } ]
trusted_addresses: [ 127.0.0.1 ]
stream_routes:
  - { id: inside, remote_addr: "2001:db8::/32", upstream: { scheme: tcp, proxy_protocol: v2, nodes: { "127.0.0.1:${target.port}": 1 } } }
`,
      { keepListeners: true, workers: 2 },
    );
    const [, port] = sluice.ports;
    const client = await RawClient.connect(port);
    client.write(Buffer.concat([V2_IPV6, Buffer.from('hello')]));
    const header = 16 + 36;
    await client.has((text) => text.length === header + 5);
    const expected = Buffer.concat([
      Buffer.from(
        `${V2_SIGNATURE}21210024${'20010db8000000000000000000000007'}${'0'.repeat(20)}ffff7f0000011388`,
        'hex',
      ),
      Buffer.from([port >> 8, port & 255]),
      Buffer.from('hello'),
    ]);
    assert.equal(Buffer.from(target.received[0], 'latin1').toString('hex'), expected.toString('hex'));
    client.socket.end();
    await client.finished();
    const other = await RawClient.connect(port);
    other.write('PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\nhello');
    assert.equal(await other.finished(), '');
    const lines = await eventually('the lines', () => sluice.accessLog.length === 2 && sluice.accessLog);
    assert.deepEqual(lines.map(({ client: address, status }) => `${address} ${status}`).sort(), [
      '192.0.2.7 404',
      '2001:db8::7 200',
    ]);
  });

  test('on to a Target of HTTP: each request has a connection that says for whom it is', async (t) => {
    const target = await startLineTarget(t);
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" } ]
routes: [ { id: all, uri: /*, upstream: { proxy_protocol: v1, nodes: { "127.0.0.1:${target.port}": 1 } } } ]
`,
      { keepListeners: true },
    );
    const client = await RawClient.connect(sluice.port);
    const { localPort } = client.socket;
    for (let count = 1; count <= 2; count++) {
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await eventually('an answer', () => client.text.split('ok').length > count);
    }
    client.destroy();
    assert.equal(target.connections.length, 2);
    for (const bytes of target.connections) {
      const [line, request] = bytes.latin1Slice().split('\r\n');
      assert.equal(line, `PROXY TCP4 127.0.0.1 127.0.0.1 ${localPort} ${sluice.port}`);
      assert.equal(request, 'GET / HTTP/1.1');
    }
  });

  test('on to a Target of TLS: the header comes before the handshake', async (t) => {
    const headers: Buffer[] = [];
    const certificates = path.join(import.meta.dirname, '../support/certificates');
    const secure = https.createServer(
      {
        cert: readFileSync(path.join(certificates, 'server.crt')),
        key: readFileSync(path.join(certificates, 'server.key')),
      },
      (_request, response) => response.end('inside'),
    );
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('readable', () => {
        headers.push(socket.read(28));
        secure.emit('connection', socket);
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    t.after(() => {
      server.close();
      secure.close();
    });
    const { port } = server.address() as net.AddressInfo;
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:0", protocol: tcp } ]
routes: [ { id: all, uri: /*, upstream: { scheme: https, proxy_protocol: v2, tls: { verify: false }, nodes: { "localhost:${port}": 1 } } } ]
stream_routes: [ { id: all, upstream: { scheme: tls, proxy_protocol: v2, tls: { verify: false }, nodes: { "localhost:${port}": 1 } } } ]
`,
      { keepListeners: true },
    );
    for (const listening of sluice.ports) {
      const client = await RawClient.connect(listening);
      const { localPort } = client.socket;
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.has('inside');
      client.destroy();
      const ports = [localPort!, listening].map((number) => number.toString(16).padStart(4, '0')).join('');
      assert.equal(headers.at(-1)?.toString('hex'), `${V2_SIGNATURE}2111000c7f0000017f000001${ports}`);
    }
  });
});

describe('limits for connections', { concurrency: 3 }, () => {
  test('hold over all workers, listeners and protocols, and let go of what has ended', async (t) => {
    const target = await startStreamTarget(t, { greeting: 'in' });
    const { sluice } = await startWithFile(
      t,
      `
listeners: [ { address: "127.0.0.1:0" }, { address: "127.0.0.1:0", protocol: tcp } ]
client: { max_connections: 100, max_connections_per_address: 3 }
stream_routes: [ { id: s, upstream: { scheme: tcp, nodes: { "127.0.0.1:${target.port}": 1 } } } ]
`,
      { keepListeners: true, workers: 2 },
    );
    const [http, tcp] = sluice.ports;
    const ask = async (client: RawClient) => {
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.has((text) => text.includes('404') || client.ending !== 'open');
      return client.text.includes('404');
    };
    const inside = [await RawClient.connect(http), await RawClient.connect(http)];
    for (const client of inside) assert.ok(await ask(client));
    const stream = await RawClient.connect(tcp);
    await stream.has('in');
    for (const port of [http, tcp, http, tcp]) {
      const refused = await RawClient.connect(port);
      refused.write('?');
      assert.equal(await refused.finished(), '');
    }
    const line = await eventually('a line', () =>
      sluice.log.find(({ message }) => message === 'connection refused'),
    );
    assert.equal(line.reason, 'max_connections_per_address');
    assert.equal(line.client, '127.0.0.1');
    stream.destroy();
    await eventually('a place is free', async () => {
      const client = await RawClient.connect(http);
      const served = await ask(client);
      client.destroy();
      return served;
    });
    await eventually('the counts differ', async () => {
      const text = await (await fetch(sluice.metrics)).text();
      const count = (state: string) =>
        Number(new RegExp(`connections\\{state="${state}"\\} (\\d+)`).exec(text)?.[1]);
      return count('accepted') >= count('handled') + 4;
    });
  });
});
