import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { startWithFile } from '../support/config-file.ts';
import { type Scope, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { startNameServer } from '../support/name-server.ts';

const pem = (name: string) =>
  readFileSync(path.join(import.meta.dirname, '../support/certificates', name), 'utf8');

/** An upstream with TLS that tells what it learned of its peer. */
async function startTlsEcho(scope: Scope): Promise<number> {
  const server = https.createServer(
    { cert: pem('server.crt'), key: pem('server.key'), requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const socket = request.socket as TLSSocket;
      const body = JSON.stringify({
        client: socket.getPeerCertificate().subject?.CN,
        name: socket.servername,
        host: request.headers.host,
      });
      response.end(body);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as net.AddressInfo).port;
}

test('an upstream with TLS must prove who it is, unless told otherwise', async (t) => {
  const port = await startTlsEcho(t);
  const ca_certs = [pem('server.crt')];
  const upstreams = {
    refused: { nodes: { [`localhost:${port}`]: 1 } },
    unverified: { nodes: { [`localhost:${port}`]: 1 }, tls: { verify: false } },
    trusted: { nodes: { [`localhost:${port}`]: 1 }, tls: { ca_certs } },
    address: { nodes: { [`127.0.0.1:${port}`]: 1 }, tls: { ca_certs } },
    renamed: {
      nodes: { [`localhost:${port}`]: 1 },
      tls: { ca_certs },
      pass_host: 'rewrite',
      upstream_host: 'other.example',
    },
    named: {
      nodes: { [`127.0.0.1:${port}`]: 1 },
      tls: { ca_certs },
      pass_host: 'rewrite',
      upstream_host: 'localhost',
    },
    known: {
      nodes: { [`localhost:${port}`]: 1 },
      tls: { ca_certs, client_cert: pem('client.crt'), client_key: pem('client.key') },
    },
  };
  const routes = Object.entries(upstreams).map(([id, upstream]) => ({
    id,
    uri: `/${id}`,
    upstream: { scheme: 'https', ...upstream },
  }));
  const { sluice } = await startWithFile(t, JSON.stringify({ routes }), { name: 'sluice.json' });
  const ask = async (id: string) => {
    const answer = await sluice.call(`/${id}`, { headers: { Host: 'client.example' } });
    return answer.status === 200 ? answer.json() : answer.status;
  };
  assert.equal(await ask('refused'), 502, 'self-signed');
  assert.deepEqual(await ask('unverified'), { name: 'localhost', host: 'client.example' });
  assert.deepEqual(await ask('trusted'), { name: 'localhost', host: 'client.example' });
  assert.deepEqual(await ask('address'), { name: false, host: 'client.example' });
  assert.equal(await ask('renamed'), 502, 'the certificate is for another name');
  assert.deepEqual(await ask('named'), { name: 'localhost', host: 'localhost' });
  assert.deepEqual(await ask('known'), { client: 'gateway', name: 'localhost', host: 'client.example' });
  assert.equal(await ask('refused'), 502, 'no connection of another Upstream is borrowed');
});

/** An upstream that says which address it has. */
async function startAt(scope: Scope, host: string, port: number): Promise<number> {
  const server = http.createServer((_, response) => response.end(host));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  scope.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as net.AddressInfo).port;
}

test('a name is asked of the configured servers, followed when it changes, and kept when they are gone', async (t) => {
  const port = await startAt(t, '127.0.0.1', 0);
  await startAt(t, '127.0.0.2', port);
  const names = await startNameServer(t, 1);
  names.names.set('orders.test', ['127.0.0.1']);
  const { sluice } = await startWithFile(
    t,
    JSON.stringify({
      resolver: { servers: [names.address] },
      routes: [{ id: 'all', uri: '/*', upstream: { nodes: { [`orders.test:${port}`]: 1 } } }],
    }),
    { name: 'sluice.json', workers: 2 },
  );
  const where = async () => (await sluice.call('/')).body;
  assert.equal(await where(), '127.0.0.1');
  names.names.set('orders.test', ['127.0.0.2']);
  await eventually('every worker follows', async () => {
    const found = await Promise.all(Array.from({ length: 12 }, where));
    return found.every((address) => address === '127.0.0.2');
  });
  names.names.set('orders.test', ['127.0.0.1', '127.0.0.2']);
  await eventually(
    'both addresses take turns',
    async () => new Set(await Promise.all([where(), where(), where(), where()])).size === 2,
  );

  names.names.set('orders.test', ['127.0.0.1']);
  await eventually('one is left', async () =>
    (await Promise.all(Array.from({ length: 12 }, where))).every((address) => address === '127.0.0.1'),
  );
  names.names.delete('orders.test');
  const { asked } = names;
  await eventually('it was asked in vain', () => names.asked >= asked + 4);
  assert.equal(await where(), '127.0.0.1', 'the last good address is kept');
});

test('a name that nobody knows is a 503 for its Route, and works as soon as it is known', async (t) => {
  const upstream = await startEcho(t);
  const names = await startNameServer(t, 1);
  const { sluice } = await startWithFile(
    t,
    JSON.stringify({
      resolver: { servers: [names.address] },
      routes: [{ id: 'all', uri: '/*', upstream: { nodes: { [`late.test:${upstream.port}`]: 1 } } }],
    }),
    { name: 'sluice.json' },
  );
  assert.equal((await sluice.call('/')).status, 503);
  names.names.set('late.test', ['127.0.0.1']);
  await eventually('it is found', async () => (await sluice.call('/')).status === 200);
});
