import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { completeHealthCheck, type HealthCheck } from '../../src/model/health-check.ts';
import { probe } from '../../src/server/health-probe.ts';

const certificates = new URL('../support/certificates/', import.meta.url);
const pem = (name: string) => readFileSync(new URL(name, certificates), 'utf8');

function check(active: object) {
  return completeHealthCheck({ active: active as HealthCheck['active'] }).active!;
}

async function listen(t: TestContext, server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

const target = (port: number, more: object = {}) => ({
  address: '127.0.0.1',
  port,
  host: `127.0.0.1:${port}`,
  tls: undefined,
  ...more,
});

test('asks by http what is configured, and tells the status', async (t) => {
  let seen: http.IncomingMessage | undefined;
  let body = '';
  const port = await listen(
    t,
    http.createServer((request, response) => {
      seen = request;
      request.setEncoding('utf8').on('data', (part) => (body += part));
      request.on('end', () => response.writeHead(418).end('a long answer'));
    }),
  );
  const asked = check({
    http_path: '/health?x=1',
    http_method: 'POST',
    http_req_body: 'hé',
    host: 'health.example',
    req_headers: ['User-Agent: mine', 'X-A: b:c', 'no field'],
  });
  assert.equal(await probe(asked, target(port)), 418);
  assert.equal(`${seen?.method} ${seen?.url}`, 'POST /health?x=1');
  const { host, 'user-agent': agent, 'x-a': own } = seen!.headers;
  assert.deepEqual([host, agent, own, body], ['health.example', 'mine', 'b:c', 'hé']);
  await probe(check({}), target(port));
  assert.equal(seen?.headers.host, `127.0.0.1:${port}`);
});

test('nobody listens, or hangs up: a tcp failure; nobody answers: a timeout', async (t) => {
  const gone = net.createServer();
  const port = await listen(t, gone);
  await new Promise((resolve) => gone.close(resolve));
  for (const type of ['http', 'https', 'tcp'])
    assert.equal(await probe(check({ type }), target(port)), 'tcp_failure');
  const rude = await listen(
    t,
    net.createServer((socket) => socket.destroy()),
  );
  assert.equal(await probe(check({}), target(rude)), 'tcp_failure');
  const junk = await listen(
    t,
    net.createServer((socket) => socket.end('220 hello\r\n')),
  );
  assert.equal(await probe(check({}), target(junk)), 'tcp_failure');
  const silent = await listen(
    t,
    net.createServer(() => undefined),
  );
  assert.equal(await probe(check({ timeout: 0.05 }), target(silent)), 'timeout');
  assert.equal(await probe(check({ type: 'tcp', timeout: 0.05 }), target(silent)), 'connected');
});

test('what can not be asked is a failure, not an error', async () => {
  assert.equal(await probe(check({ http_path: '/a b' }), target(1)), 'tcp_failure');
  assert.equal(await probe(check({ req_headers: ['X-A: \u0001'] }), target(1)), 'tcp_failure');
});

test('by https, certificates are verified unless it says otherwise', async (t) => {
  const server = https.createServer({ cert: pem('server.crt'), key: pem('server.key') }, (_, response) =>
    response.end(),
  );
  server.on('tlsClientError', () => undefined);
  const port = await listen(t, server);
  const https_ = { type: 'https' };
  const tls = { ca: [pem('server.crt')], rejectUnauthorized: true };
  assert.equal(await probe(check(https_), target(port)), 'tcp_failure');
  assert.equal(await probe(check({ ...https_, https_verify_certificate: false }), target(port)), 200);
  assert.equal(await probe(check(https_), target(port, { tls: { rejectUnauthorized: false } })), 200);
  const name = 'localhost';
  assert.equal(await probe(check(https_), target(port, { tls, host: `${name}:${port}` })), 200);
  assert.equal(
    await probe(check({ ...https_, host: 'other.example' }), target(port, { tls })),
    'tcp_failure',
  );
});
