import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Value } from '../../model/resource.ts';
import { checkConfig, run, type TestRequest } from '../../plugin/testing.ts';
import { staticFiles } from './static-files.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-static-'));
const root = path.join(folder, 'www');
const MODIFIED = Date.UTC(2025, 5, 1, 12) / 1000;

before(() => {
  for (const name of ['sub', '.git', '.well-known', 'empty', 'sub/ü'])
    mkdirSync(path.join(root, name), { recursive: true });
  const write = (name: string, text: string) => {
    writeFileSync(path.join(root, name), text);
    utimesSync(path.join(root, name), MODIFIED, MODIFIED);
  };
  write('index.html', '<h1>home</h1>');
  write('sub/index.html', '<h1>sub</h1>');
  write('digits.txt', '0123456789');
  write('app.js', 'plain');
  write('app.js.br', 'brotli');
  write('app.js.gz', 'gzip');
  write('zero.txt', '');
  write('.env', 'SECRET');
  write('.git/config', 'secret');
  write('.well-known/security.txt', 'contact');
  write('sub/ü/a b.unknown', 'bytes');
  writeFileSync(path.join(folder, 'outside.txt'), 'outside');
  symlinkSync(path.join(root, 'digits.txt'), path.join(root, 'inside.txt'));
  symlinkSync(path.join(folder, 'outside.txt'), path.join(root, 'outside.txt'));
  symlinkSync(folder, path.join(root, 'up'));
  symlinkSync(root, path.join(folder, 'current'));
});
after(() => rmSync(folder, { recursive: true }));

async function get(
  target: string,
  headers: Record<string, string> = {},
  config: Value = {},
  more: TestRequest = {},
) {
  const { response, reply } = await run(staticFiles, { root, ...config }, { target, headers, ...more });
  return { ...response, replied: reply !== undefined };
}

test('serves a file with its type, length and version', async () => {
  const { status, body, headers } = await get('/digits.txt');
  assert.deepEqual([status, body], [200, '0123456789']);
  assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(headers['last-modified'], 'Sun, 01 Jun 2025 12:00:00 GMT');
  assert.equal(headers['accept-ranges'], 'bytes');
  assert.match(headers.etag, /^"[^"]+"$/);
  assert.equal(headers['x-content-type-options'], 'nosniff');
});

test('decodes names, once', async () => {
  const { status, headers } = await get('/sub/%C3%BC/a%20b.unknown');
  assert.deepEqual([status, headers['content-type']], [200, 'application/octet-stream']);
  assert.equal((await get('/digits%252etxt')).status, 404);
});

test('lets a folder be its index, and sends those without a slash there', async () => {
  assert.equal((await get('/')).body, '<h1>home</h1>');
  assert.equal((await get('/sub/')).body, '<h1>sub</h1>');
  const { status, headers } = await get('/sub?a=b');
  assert.deepEqual([status, headers.location], [301, '/sub/?a=b']);
  assert.equal((await get('/empty/')).status, 404);
  assert.equal((await get('/empty')).status, 404);
  assert.equal((await get('/digits.txt/')).status, 404);
});

describe('what is not meant to be seen is not there:', () => {
  for (const target of [
    '/../outside.txt',
    '/..%2foutside.txt',
    '/sub/..%5c..%5coutside.txt',
    '/%2e%2e/outside.txt',
    '/sub/%2e%2e/%2e%2e/outside.txt',
    '/digits.txt%00.html',
    '/digits.txt%0a',
    '/.env',
    '/.git/config',
    '/%2egit/config',
    '/outside.txt',
    '/up/outside.txt',
    '/up/www/digits.txt/../../outside.txt',
    '//etc/passwd',
    '/sub//index.html',
    '/nothing',
    `/${'x'.repeat(5000)}`,
  ]) {
    test(target.slice(0, 40), async () => assert.equal((await get(target)).status, 404));
  }
});

test('follows links as it is told to', async () => {
  assert.equal((await get('/inside.txt')).body, '0123456789');
  assert.equal((await get('/up/www/digits.txt')).body, '0123456789');
  assert.equal((await get('/inside.txt', {}, { symlinks: 'deny' })).status, 404);
  assert.equal((await get('/digits.txt', {}, { symlinks: 'deny' })).status, 200);
  assert.equal((await get('/outside.txt', {}, { symlinks: 'follow' })).body, 'outside');
});

test('takes a link for its root', async () => {
  assert.equal((await get('/digits.txt', {}, { root: path.join(folder, 'current') })).status, 200);
  assert.equal(
    (await get('/digits.txt', {}, { root: path.join(folder, 'current'), symlinks: 'deny' })).status,
    200,
  );
});

test('serves dotfiles where it may, and .well-known anywhere', async () => {
  assert.equal((await get('/.env', {}, { dotfiles: true })).body, 'SECRET');
  assert.equal((await get('/.well-known/security.txt')).body, 'contact');
});

test('answers only GET and HEAD', async () => {
  const { status, headers } = await get('/digits.txt', {}, {}, { method: 'POST' });
  assert.deepEqual([status, headers.allow], [405, 'GET, HEAD']);
  assert.equal((await get('/digits.txt', {}, {}, { method: 'HEAD' })).status, 200);
});

describe('compressed variants', () => {
  const encoded = async (accept: string, config: Value = {}) => {
    const { body, headers } = await get('/app.js', { 'accept-encoding': accept }, config);
    assert.equal(headers['content-type'], 'text/javascript; charset=utf-8');
    return [body, headers['content-encoding'], headers.vary, headers.etag];
  };

  test('go to clients that accept them, the best first', async () => {
    const plain = await encoded('');
    const brotli = await encoded('gzip, br');
    assert.deepEqual(plain.slice(0, 3), ['plain', undefined, 'Accept-Encoding']);
    assert.deepEqual(brotli.slice(0, 3), ['brotli', 'br', 'Accept-Encoding']);
    assert.deepEqual((await encoded('gzip;q=1, br;q=0.5')).slice(0, 2), ['gzip', 'gzip']);
    assert.deepEqual((await encoded('zstd')).slice(0, 2), ['plain', undefined]);
    assert.notEqual(plain[3], brotli[3]);
  });

  test('stay where they are when they are not asked for', async () => {
    assert.deepEqual((await encoded('gzip, br', { precompressed: ['gzip'] })).slice(0, 2), ['gzip', 'gzip']);
    assert.deepEqual((await encoded('gzip, br', { precompressed: [] })).slice(0, 3), [
      'plain',
      undefined,
      undefined,
    ]);
  });
});

describe('preconditions', () => {
  const status = async (headers: Record<string, string>) => (await get('/digits.txt', headers)).status;
  test('by tag', async () => {
    const { etag } = (await get('/digits.txt')).headers;
    assert.equal(await status({ 'if-none-match': etag }), 304);
    assert.equal(await status({ 'if-none-match': `"x", W/${etag}` }), 304);
    assert.equal(await status({ 'if-none-match': '*' }), 304);
    assert.equal(await status({ 'if-none-match': '"x"' }), 200);
    assert.equal(await status({ 'if-match': etag }), 200);
    assert.equal(await status({ 'if-match': '*' }), 200);
    assert.equal(await status({ 'if-match': `W/${etag}` }), 412);
    assert.equal(await status({ 'if-match': '"x"' }), 412);
    // The tag is the better evidence.
    assert.equal(
      await status({ 'if-none-match': '"x"', 'if-modified-since': 'Sun, 01 Jun 2025 12:00:00 GMT' }),
      200,
    );
  });

  test('by date, in each of its forms', async () => {
    for (const date of [
      'Sun, 01 Jun 2025 12:00:00 GMT',
      'Sunday, 01-Jun-25 12:00:00 GMT',
      'Sun Jun  1 12:00:00 2025',
    ]) {
      assert.equal(await status({ 'if-modified-since': date }), 304, date);
      assert.equal(await status({ 'if-unmodified-since': date }), 200, date);
    }
    assert.equal(await status({ 'if-modified-since': 'Sun, 01 Jun 2025 11:59:59 GMT' }), 200);
    assert.equal(await status({ 'if-unmodified-since': 'Sun, 01 Jun 2025 11:59:59 GMT' }), 412);
    assert.equal(await status({ 'if-modified-since': 'yesterday' }), 200);
  });
});

describe('ranges', () => {
  const range = async (value: string, more: Record<string, string> = {}, file = '/digits.txt') => {
    const { status, body, headers } = await get(file, { range: value, ...more });
    return status === 206
      ? `${headers['content-range']} ${body}`
      : `${status} ${headers['content-range'] ?? ''}`;
  };

  test('are sent alone', async () => {
    assert.equal(await range('bytes=0-3'), 'bytes 0-3/10 0123');
    assert.equal(await range('bytes=8-'), 'bytes 8-9/10 89');
    assert.equal(await range('bytes=-3'), 'bytes 7-9/10 789');
    assert.equal(await range('bytes=-30'), 'bytes 0-9/10 0123456789');
    assert.equal(await range('bytes=5-500'), 'bytes 5-9/10 56789');
    assert.equal(await range(`bytes=8-${'9'.repeat(400)}`), 'bytes 8-9/10 89');
  });

  test('that lie outside are refused', async () => {
    assert.equal(await range('bytes=10-'), '416 bytes */10');
    assert.equal(await range('bytes=-0'), '416 bytes */10');
    assert.equal(await range('bytes=0-', {}, '/zero.txt'), '416 bytes */0');
  });

  test('that are none, several or of other units are ignored', async () => {
    for (const value of ['bytes=3-2', 'bytes=0-1,3-4', 'lines=0-1', 'bytes=a-b', 'bytes=']) {
      assert.equal(await range(value), '200 ', value);
    }
  });

  test('hold for the version that the client knows', async () => {
    const { headers } = await get('/digits.txt');
    assert.equal(await range('bytes=0-0', { 'if-range': headers.etag }), 'bytes 0-0/10 0');
    assert.equal(await range('bytes=0-0', { 'if-range': headers['last-modified'] }), 'bytes 0-0/10 0');
    assert.equal(await range('bytes=0-0', { 'if-range': '"x"' }), '200 ');
    assert.equal(await range('bytes=0-0', { 'if-range': `W/${headers.etag}` }), '200 ');
    assert.equal(await range('bytes=0-0', { 'if-range': 'Sun, 01 Jun 2025 12:00:01 GMT' }), '200 ');
  });
});

test('serves one file for all paths without one, where it is told to', async () => {
  const { status, body } = await get('/some/view', {}, { fallback: '/index.html' });
  assert.deepEqual([status, body], [200, '<h1>home</h1>']);
  assert.equal((await get('/some/view', {}, { fallback: '/gone.html' })).status, 404);
});

test('passes on what it has no file for, where it is told to', async () => {
  assert.equal((await get('/api', {}, { pass_missing: true })).replied, false);
  assert.equal((await get('/digits.txt', {}, { pass_missing: true }, { method: 'POST' })).replied, false);
  assert.equal((await get('/digits.txt', {}, { pass_missing: true })).replied, true);
});

test('takes off a prefix, and only that', async () => {
  assert.equal((await get('/static/digits.txt', {}, { strip_prefix: '/static' })).status, 200);
  assert.equal((await get('/static', {}, { strip_prefix: '/static/' })).body, '<h1>home</h1>');
  assert.equal((await get('/staticdigits.txt', {}, { strip_prefix: '/static' })).status, 404);
});

test('sends the fields that it is given', async () => {
  const config = { cache_control: 'max-age=60', types: { txt: 'text/x-digits' } };
  const { headers } = await get('/digits.txt', {}, config);
  assert.deepEqual([headers['cache-control'], headers['content-type']], ['max-age=60', 'text/x-digits']);
});

test('refuses fields that would end the head, and names with folders', () => {
  assert.match(checkConfig(staticFiles, { root, cache_control: 'a\r\nb: c' }) ?? '', /cache_control/);
  assert.match(checkConfig(staticFiles, { root, index: ['../x'] }) ?? '', /index/);
  assert.match(checkConfig(staticFiles, {}) ?? '', /"root" is required/);
});
