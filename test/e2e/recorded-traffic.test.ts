// What was recorded of APISIX 3.18 on its data plane, asked again here: the same requests byte by
// byte, the same configuration through the Admin API, and the answers and what the upstream saw
// compared field by field. What differs on purpose is named, with what Sluice does instead; each
// line has its own in docs/compatibility.md.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { startEcho } from '../support/echo-upstream.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';
import { field, type RawAnswer, rawCall } from '../support/raw-call.ts';

type Pairs = readonly (readonly [string, string])[];

interface Saw {
  readonly method: string;
  readonly url: string;
  readonly headers: Pairs;
  readonly body: string;
}

interface Traffic {
  readonly title: string;
  readonly admin?: undefined;
  readonly head: string;
  readonly sent?: string;
  readonly status: number;
  readonly headers: Pairs;
  readonly saw?: Saw;
  readonly body?: string;
}

interface AdminWrite {
  readonly title: string;
  readonly admin: true;
  readonly method: string;
  readonly path: string;
  readonly sent?: string;
}

/** What is expected instead of what was recorded. */
interface Difference {
  readonly why: string;
  readonly status?: number;
  readonly headers?: Pairs;
  /** Names of fields of the answer that Sluice adds. */
  readonly adds?: readonly string[];
  readonly saw?: Partial<Saw>;
  readonly body?: string;
}

const recorded: readonly (Traffic | AdminWrite)[] = JSON.parse(
  readFileSync(path.join(import.meta.dirname, 'recorded-exchanges.json'), 'utf8'),
);

const FORWARDED: Pairs = [
  ['Host', '127.0.0.1:9080'],
  ['X-Real-IP', '127.0.0.1'],
  ['X-Forwarded-For', '127.0.0.1'],
  ['User-Agent', 'xch/1'],
  ['Accept', '*/*'],
  ['X-Forwarded-Proto', 'http'],
  ['X-Forwarded-Host', '127.0.0.1:9080'],
  ['X-Forwarded-Port', '9080'],
];

const RETRY_AFTER: Difference = { why: 'a 429 from a limit also carries Retry-After', adds: ['Retry-After'] };

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  '(a) encoded path and dot segments': {
    why: 'escapes other than those of unreserved characters are kept: %2F is not a slash',
    saw: { url: '/orders/c%20d?q=%2F' },
  },
  '(a) incoming X-Forwarded-*, X-Real-IP and hop-by-hop headers': {
    why: "a stranger's claims are replaced, and fields named by Connection stay at this hop",
    saw: { headers: [...FORWARDED, ['X-Gateway', 'apisix-2']] },
  },
  'limit-count 2/60, request 3': RETRY_AFTER,
  'limit-count 2/60, request 4': RETRY_AFTER,
  'limit-req 1/s burst 0, request 2': RETRY_AFTER,
  'ip-restriction deny: X-Real-IP from trusted local peer': {
    why: 'X-Real-IP is believed from trusted_addresses only, of which there are none',
    status: 403,
    saw: undefined,
    headers: [
      ['Content-Type', 'text/plain; charset=utf-8'],
      ['Connection', 'keep-alive'],
    ],
    body: '{"message":"Your IP address is not allowed"}',
  },
  'path parameter /t1/:id with the default router radixtree_host_uri (not supported there): param': {
    why: 'path parameters are always understood',
    status: 200,
    headers: [
      ['Content-Type', 'application/json'],
      ['X-Upstream', 'echo'],
      ['Connection', 'keep-alive'],
    ],
    saw: { method: 'GET', url: '/t1/5', headers: FORWARDED, body: '' },
  },
  'absolute-form target': {
    why: "the target's authority wins over the Host field",
    saw: {
      headers: [
        ['Host', 'h.example'],
        ...FORWARDED.filter(([name]) => name !== 'Host' && name !== 'X-Forwarded-Host'),
        ['X-Forwarded-Host', 'h.example'],
        ['X-Gateway', 'apisix-2'],
      ],
    },
  },
};

/** An order that neither wire has to keep. */
function sorted(pairs: Pairs): string[] {
  return pairs.map(([name, value]) => `${name.toLowerCase()}: ${value}`).sort();
}

/** Fields whose value is another each time, or that say nothing here. */
const UNSTEADY = /^(date|server|transfer-encoding|content-length|x-ratelimit-reset|keep-alive)$/i;

function steady(pairs: Pairs): string[] {
  return sorted(pairs.filter(([name]) => !UNSTEADY.test(name)));
}

test('answers as recorded of APISIX 3.18, or differs as documented', async (t) => {
  const echo = await startEcho(t, (seen, response) => {
    const status = Number(/__status=(\d+)/.exec(seen.url)?.[1] ?? 200);
    response.writeHead(status, { 'Content-Type': 'application/json', 'X-Upstream': 'echo' });
    response.end(JSON.stringify(seen));
    return true;
  });
  const canary = await startEcho(t, (_, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('canary');
    return true;
  });
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
  t.after(() => silent.close());
  await new Promise((resolve) => silent.once('listening', resolve));
  const silentPort = (silent.address() as net.AddressInfo).port;
  const sluice = await SluiceProcess.start(t, {
    args: ['start', '--data', temporaryFolder(t)],
    accessLog: 'off',
  });

  const here = (text: string): string =>
    text
      .replaceAll(/\b9080\b/g, String(sluice.port))
      .replaceAll(/\b19001\b/g, String(echo.port))
      .replaceAll(/\b19002\b/g, String(canary.port))
      .replaceAll(/\b19003\b/g, String(silentPort));
  const herePairs = (pairs: Pairs): Pairs => pairs.map(([name, value]) => [name, here(value)]);

  for (const exchange of recorded) {
    if (exchange.admin) {
      const what = exchange.path.slice('/apisix/admin/'.length);
      const answer = await sluice.admin(exchange.method, what, here(exchange.sent ?? ''));
      assert.ok(answer.status < 300, `${exchange.title}: ${answer.body}`);
      continue;
    }
    await t.test(exchange.title, async () => {
      const difference = DIFFERENCES[exchange.title];
      const expected = { ...exchange, ...difference };
      const isHead = exchange.head.startsWith('HEAD ');
      const head = here(exchange.head)
        .replace(/\{a\*(\d+)\}/, (_, count) => 'a'.repeat(Number(count)))
        .replaceAll('\n', '\r\n');
      const answer = await rawCall(sluice.port, `${head}\r\n\r\n${exchange.sent ?? ''}`, { head: isHead });
      assert.equal(answer.status, expected.status, answer.body);
      const added = answer.fields.filter(([name]) => difference?.adds?.includes(name));
      assert.deepEqual(steady(answer.fields), steady([...herePairs(expected.headers), ...added]));
      assert.equal(added.length, difference?.adds?.length ?? 0);
      assert.equal(field(answer, 'x-ratelimit-reset') !== undefined, hasReset(exchange.headers));
      if (expected.saw !== undefined)
        assertSaw(answer, { ...exchange.saw, ...difference?.saw } as Saw, herePairs);
      else if (!isHead) assert.equal(answer.body.trim(), signed(expected.body ?? ''));
    });
  }
});

function hasReset(headers: Pairs): boolean {
  return headers.some(([name]) => name === 'X-RateLimit-Reset');
}

function assertSaw(answer: RawAnswer, saw: Saw, herePairs: (pairs: Pairs) => Pairs): void {
  const { method, url, rawHeaders, body } = JSON.parse(answer.body);
  assert.deepEqual([method, url, body], [saw.method, saw.url, saw.body]);
  const pairs: [string, string][] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    pairs.push([rawHeaders[index], rawHeaders[index + 1]]);
  }
  assert.deepEqual(sorted(pairs), sorted(herePairs(saw.headers)));
}

/** An error page as Sluice signs it. */
function signed(body: string): string {
  return body
    .replace('openresty', 'sluice')
    .replace(/<p><em>Powered by .*<\/p>/, '')
    .replaceAll('\n', '\r\n');
}
