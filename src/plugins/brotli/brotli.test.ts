import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliDecompressSync } from 'node:zlib';
import { checkConfig, run } from '../../plugin/testing.ts';
import { brotli } from './brotli.ts';

const TEXT = '{"compress": "me"}'.repeat(1000);
const upstream = { body: TEXT, headers: { 'content-type': 'application/json' } };
const types = ['application/json'];

test('compresses a body piece by piece', async () => {
  const { response } = await run(brotli, { types }, { headers: { 'accept-encoding': 'br' } }, { upstream });
  assert.equal(response.headers['content-encoding'], 'br');
  assert.equal(brotliDecompressSync(response.bytes).toString(), TEXT);
  assert.ok(response.bytes.length < TEXT.length / 4, String(response.bytes.length));
});

test('compresses text/html where nothing is said', async () => {
  const html = { ...upstream, headers: { 'content-type': 'text/html' } };
  const request = { headers: { 'accept-encoding': 'br' } };
  assert.equal(
    (await run(brotli, {}, request, { upstream: html })).response.headers['content-encoding'],
    'br',
  );
  assert.equal(
    (await run(brotli, {}, request, { upstream })).response.headers['content-encoding'],
    undefined,
  );
});

test('does nothing for a client that does not ask for it', async () => {
  const { response } = await run(brotli, { types }, {}, { upstream });
  assert.equal(response.headers['content-encoding'], undefined);
  assert.equal(response.body, TEXT);
});

test('refuses levels that there are not, and empty lists', () => {
  assert.match(checkConfig(brotli, { comp_level: 100 }) ?? '', /comp_level/);
  assert.match(checkConfig(brotli, { types: [] }) ?? '', /types/);
  assert.equal(checkConfig(brotli, { types: '*' }), undefined);
});
