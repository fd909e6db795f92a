import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { constants, createGzip, gunzipSync } from 'node:zlib';
import { Type } from '../lib/schema.ts';
import { compress, compressionFields } from './compression.ts';
import { definePlugin } from './define-plugin.ts';
import { reply } from './reply.ts';
import { type RequestOptions, run, type UpstreamResponse } from './testing.ts';

/** A Plugin of the family, to look at what all have in common. */
const compressing = definePlugin({
  name: 'compressing',
  summary: 'Made for a test.',
  priority: 1,
  config: Type.Object({ ...compressionFields, answer: Type.Optional(Type.String()) }),
  create: (config) => ({
    access: () => (config.answer === undefined ? undefined : reply(200, config.answer)),
    responseHeaders: (exchange) =>
      compress(exchange, config, {
        coding: 'gzip',
        create: () => createGzip(),
        flush: constants.Z_SYNC_FLUSH,
      }),
  }),
});

const TEXT = 'compress me, compress me, compress me, compress me';

async function through(
  upstream: UpstreamResponse,
  config: Record<string, unknown> = {},
  request: { headers?: Record<string, string>; httpVersion?: '1.0' | '1.1'; method?: string } = {},
) {
  const options: RequestOptions = {
    upstream: {
      body: TEXT,
      ...upstream,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'content-length': String(TEXT.length),
        ...(upstream.headers as Record<string, string>),
      },
    },
  };
  const { response } = await run(
    compressing,
    config,
    { ...request, headers: { 'accept-encoding': 'gzip', ...request.headers } },
    options,
  );
  return response;
}

test('compresses what a client accepts compressed, and says so', async () => {
  const response = await through({});
  assert.equal(response.headers['content-encoding'], 'gzip');
  assert.equal(gunzipSync(response.bytes).toString(), TEXT);
  assert.equal(response.headers.vary, 'Accept-Encoding');
});

describe('leaves alone', () => {
  const alone: Record<string, Parameters<typeof through>> = {
    'what a client refuses compressed': [{}, {}, { headers: { 'accept-encoding': 'gzip;q=0' } }],
    'what a client likes better as it is': [
      {},
      {},
      { headers: { 'accept-encoding': 'gzip;q=0.5, identity' } },
    ],
    'other types': [{ headers: { 'content-type': 'image/png' } }],
    'what is encoded already': [{ headers: { 'content-encoding': 'br' } }],
    'a part of a body': [{ status: 206 }],
    'what says which part it is': [{ headers: { 'content-range': 'bytes 0-1/2' } }],
    'a body too small to gain': [{ body: 'small', headers: { 'content-length': '5' } }],
    'an empty body': [
      { body: '', headers: { 'content-length': '0' } },
      {},
      { headers: { 'accept-encoding': 'gzip, *;q=0' } },
    ],
    'what must not be transformed': [{ headers: { 'cache-control': 'max-age=1, No-Transform' } }],
    'what the client wants untransformed': [{}, {}, { headers: { 'cache-control': 'no-transform' } }],
    'a client of HTTP/1.0': [{}, {}, { httpVersion: '1.0' }],
  };
  for (const [what, parameters] of Object.entries(alone)) {
    test(what, async () => {
      const response = await through(...parameters);
      assert.notEqual(response.headers['content-encoding'], 'gzip');
      assert.equal(response.body, parameters[0].body ?? TEXT);
    });
  }
});

test('compresses for HTTP/1.0 where it is told to', async () => {
  const response = await through({}, { http_version: 1.0 }, { httpVersion: '1.0' });
  assert.equal(response.headers['content-encoding'], 'gzip');
});

test('compresses even a small body for a client that refuses it as it is', async () => {
  const headers = { 'accept-encoding': 'gzip, identity;q=0' };
  const response = await through({ body: 'small', headers: { 'content-length': '5' } }, {}, { headers });
  assert.equal(gunzipSync(response.bytes).toString(), 'small');
});

test('compresses any type with *, and names in any case', async () => {
  const headers = { 'content-type': 'IMAGE/SVG+xml' };
  for (const types of ['*', ['image/svg+XML']]) {
    assert.equal((await through({ headers }, { types })).headers['content-encoding'], 'gzip');
  }
});

test('compresses a body of unknown length, also one that turns out to be small', async () => {
  const { response } = await run(
    compressing,
    {},
    { headers: { 'accept-encoding': 'gzip' } },
    { upstream: { body: 'x', headers: { 'content-type': 'text/html' } } },
  );
  assert.equal(gunzipSync(response.bytes).toString(), 'x');
});

test("compresses the gateway's own answers, by their length", async () => {
  const own = (answer: string) =>
    run(compressing, { answer, types: ['text/plain'] }, { headers: { 'accept-encoding': 'gzip' } });
  assert.equal((await own(TEXT)).response.headers['content-encoding'], 'gzip');
  assert.equal((await own('short')).response.headers['content-encoding'], undefined);
});

test('weakens a strong ETag and takes away what is about the bytes', async () => {
  const headers = { etag: '"a"', 'accept-ranges': 'bytes', 'repr-digest': 'sha-256=:aa=:' };
  const response = await through({ headers });
  assert.equal(response.headers.etag, 'W/"a"');
  assert.equal(response.headers['accept-ranges'], undefined);
  assert.equal(response.headers['repr-digest'], undefined);
  assert.equal((await through({ headers: { etag: 'W/"a"' } })).headers.etag, 'W/"a"');
});

test('gives a 304 the tag that the compressed body had', async () => {
  const etag = async (accepted: string) =>
    (
      await through(
        { status: 304, headers: { etag: '"a"' } },
        {},
        { headers: { 'accept-encoding': accepted } },
      )
    ).headers.etag;
  assert.equal(await etag('gzip'), 'W/"a"');
  assert.equal(await etag('br, gzip;q=0'), '"a"');
});

test('names Accept-Encoding in Vary once, also to those who got no compressed body', async () => {
  const plain = await through({ headers: { vary: 'Origin' } }, {}, { headers: { 'accept-encoding': 'br' } });
  assert.deepEqual(plain.headers.vary, 'Origin, Accept-Encoding');
  assert.equal((await through({ headers: { vary: 'accept-encoding' } })).headers.vary, 'accept-encoding');
  assert.equal((await through({ headers: { vary: '*' } })).headers.vary, '*');
  assert.equal((await through({ status: 304 })).headers.vary, 'Accept-Encoding');
  assert.equal((await through({}, { vary: false })).headers.vary, undefined);
});
