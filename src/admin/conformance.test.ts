// Plays the Admin API's part of the exchanges recorded with APISIX 3.18.0 against this server, in
// their order, and compares the answers. What may differ: times, revisions, generated ids, sealed
// secrets, and the order of a list's members.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { isSealed } from '../model/sealing.ts';
import { type RunningAdmin, runAdmin } from './testing.ts';

interface Exchange {
  readonly title: string;
  readonly method: string;
  readonly path: string;
  readonly key?: string;
  readonly sent?: string;
  readonly status: number;
  readonly type: string;
  readonly versioned: boolean;
  readonly body: string;
  readonly removedAfterwards?: boolean;
}

const exchanges: readonly Exchange[] = JSON.parse(
  readFileSync(new URL('./recorded-exchanges.json', import.meta.url), 'utf8'),
);
const RECORDED_SECRETS = /^(?:acme|jane)-(?:cred-)?key(?:-1)?$|==$/;

/** The same value with everything that may differ made equal. */
function comparable(value: unknown, name = ''): unknown {
  if (['createdIndex', 'modifiedIndex', 'create_time', 'update_time'].includes(name)) {
    assert.ok(Number.isInteger(value));
    return `some ${name}`;
  }
  if (typeof value === 'string') {
    if (isSealed(value) || RECORDED_SECRETS.test(value)) return 'some secret';
    return value.replace(/\d{20}/g, 'some id');
  }
  if (Array.isArray(value)) {
    const items = value.map((item) => comparable(item));
    return name === 'list'
      ? items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
      : items;
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, child]) => [key, comparable(child, key)]));
}

describe('answers as recorded', () => {
  let running: RunningAdmin;
  before(async () => {
    running = await runAdmin();
  });
  after(() => running[Symbol.asyncDispose]());

  for (const exchange of exchanges) {
    test(exchange.title, async () => {
      const headers: Record<string, string> = exchange.key === undefined ? {} : { 'X-API-KEY': exchange.key };
      const answer = await running.ask(exchange.method, exchange.path, exchange.sent, headers);
      assert.equal(answer.status, exchange.status, answer.text);
      assert.equal(answer.headers['content-type'], exchange.type);
      assert.equal(answer.headers['x-api-version'], exchange.versioned ? 'v3' : undefined);
      assert.equal(answer.headers.server, 'sluice');
      assert.equal(answer.headers['access-control-allow-origin'], '*');
      assert.equal(answer.headers['access-control-max-age'], '3600');
      if (exchange.body.startsWith('{')) {
        assert.deepEqual(comparable(answer.body), comparable(JSON.parse(exchange.body)));
        assert.ok(answer.text.endsWith('}\n'));
      } else {
        assert.equal(answer.text, exchange.body);
      }
      if (exchange.removedAfterwards) {
        assert.equal((await running.ask('DELETE', exchange.path)).status, 200);
      }
    });
  }
});

test('pages of nothing and of preflight are as recorded', async () => {
  await using running = await runAdmin();
  for (const path of ['/', '/apisix/nope', '/apisix/admin']) {
    const page = await running.ask('GET', path);
    assert.equal(page.status, 404);
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  }
  const preflight = await running.ask('OPTIONS', '/apisix/admin/routes', undefined, {});
  assert.equal(preflight.headers['access-control-allow-methods'], 'POST, GET, PUT, OPTIONS, DELETE, PATCH');
  assert.equal(preflight.headers['access-control-allow-headers'], '*');
  assert.equal(preflight.headers['content-length'], '0');
});
