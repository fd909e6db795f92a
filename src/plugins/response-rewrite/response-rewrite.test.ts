import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { validate } from '../../lib/json-schema.ts';
import { bind, checkConfig, run } from '../../plugin/testing.ts';
import { responseRewrite } from './response-rewrite.ts';

const needsBody = responseRewrite.needsBody as (config: object) => unknown;

test('rewrites status, header and body, as recorded', async () => {
  const { response } = await run(
    responseRewrite,
    { status_code: 201, headers: { set: { 'X-A': '1' }, remove: ['X-Upstream'] }, body: '{"n":1}' },
    {},
    {
      upstream: {
        headers: { 'Content-Type': 'application/json', 'Content-Length': '320', 'X-Upstream': 'echo' },
        body: '{"method":"GET"}',
      },
    },
  );
  assert.equal(response.status, 201);
  assert.equal(response.body, '{"n":1}');
  assert.deepEqual(response.headerList, [
    ['Content-Type', 'application/json'],
    ['X-A', '1'],
  ]);
});

describe('body', () => {
  test('takes the fields with it that spoke of the old one', async () => {
    const headers = {
      'Content-Encoding': 'gzip',
      ETag: '"1"',
      'Last-Modified': 'Fri, 20 Nov 2026 10:51:48 GMT',
      'X-Other': '1',
    };
    const { response } = await run(responseRewrite, { body: 'new' }, {}, { upstream: { headers } });
    assert.deepEqual(response.headerList, [['X-Other', '1']]);
  });

  test('may be bytes in base64', async () => {
    const { response } = await run(responseRewrite, { body: 'AP+AAQ==', body_base64: true });
    assert.deepEqual([...response.bytes], [0, 255, 128, 1]);
  });

  test('may be empty', async () => {
    const { response } = await run(responseRewrite, { body: '' }, {}, { upstream: { body: 'old' } });
    assert.equal(response.body, '');
  });

  test('and its fields stay when only the header is rewritten', async () => {
    const upstream = { headers: { ETag: '"1"' }, body: 'old' };
    const { response } = await run(responseRewrite, { headers: { 'X-A': 'b' } }, {}, { upstream });
    assert.equal(response.headers.etag, '"1"');
    assert.equal(response.body, 'old');
  });
});

describe('headers', () => {
  test('are added, set and removed', async () => {
    const { response } = await run(
      responseRewrite,
      {
        headers: {
          add: ['Set-Cookie: a=b; Max-Age=100', 'X-Who:$remote_addr'],
          set: { 'X-N': 3, 'X-Empty': '', 'X-Status': '$status' },
          remove: ['X-Gone'],
        },
      },
      { clientAddress: '203.0.113.9' },
      { upstream: { headers: { 'Set-Cookie': 'c=d', 'X-Gone': '1', 'X-Empty': '1', 'X-N': '1' } } },
    );
    assert.deepEqual(
      response.headerList.filter(([name]) => name === 'Set-Cookie').map(([, value]) => value),
      ['c=d', 'a=b; Max-Age=100'],
    );
    assert.equal(response.headers['x-who'], '203.0.113.9');
    assert.equal(response.headers['x-n'], '3');
    assert.equal(response.headers['x-status'], '200');
    assert.equal('x-gone' in response.headers, false);
    assert.equal('x-empty' in response.headers, false);
  });

  test('get no line break from a variable', async () => {
    const config = { headers: { set: { 'X-A': '$arg_q' }, add: ['X-B: $arg_q'] } };
    const { response } = await run(responseRewrite, config, { target: '/?q=1%0D%0AX-Evil:%202%0A' });
    assert.equal(response.headers['x-a'], '1  X-Evil: 2 ');
    assert.equal(response.headers['x-b'], '1  X-Evil: 2 ');
  });
});

describe('vars', () => {
  const config = {
    vars: [['status', '==', '200']],
    status_code: 503,
    body: 'new',
    headers: { 'X-A': '1' },
  };

  test('narrow the rewrite to answers that fulfil them', async () => {
    const ok = await run(responseRewrite, config, {}, { upstream: { body: 'old' } });
    assert.deepEqual([ok.response.status, ok.response.body, ok.response.headers['x-a']], [503, 'new', '1']);
    const bad = await run(responseRewrite, config, {}, { upstream: { status: 404, body: 'old' } });
    assert.deepEqual([bad.response.status, bad.response.body], [404, 'old']);
    assert.equal('x-a' in bad.response.headers, false);
  });

  test('see the status from before the rewrite, also where filters run later', async () => {
    const filters = [{ regex: 'old', replace: 'new' }];
    const both = { vars: config.vars, status_code: 201, filters };
    const { response } = await run(responseRewrite, both, {}, { upstream: { body: 'old' } });
    assert.deepEqual([response.status, response.body], [201, 'new']);
    const bad = await run(responseRewrite, both, {}, { upstream: { status: 404, body: 'old' } });
    assert.equal(bad.response.body, 'old');
  });

  test('that are empty narrow nothing', async () => {
    assert.equal((await run(responseRewrite, { ...config, vars: [] })).response.status, 503);
  });
});

describe('filters', () => {
  async function filtered(filters: object[], body: string | Uint8Array): Promise<string> {
    return (await run(responseRewrite, { filters }, {}, { upstream: { body } })).response.body;
  }

  test('replace the first match, or all', async () => {
    assert.equal(await filtered([{ regex: 'l', replace: 'L' }], 'hello'), 'heLlo');
    assert.equal(await filtered([{ regex: 'l', replace: 'L', scope: 'global' }], 'hello'), 'heLLo');
  });

  test('run one after the other, with captures', async () => {
    const filters = [
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation of templates.
      { regex: '(\\w+)@(\\w+)', replace: '${2} at $1', scope: 'global' },
      { regex: 'at', replace: '@@' },
    ];
    assert.equal(await filtered(filters, 'a@b c@d'), 'b @@ a d at c');
  });

  test('follow their options', async () => {
    assert.equal(await filtered([{ regex: 'HELLO', replace: 'x', options: 'ijo' }], 'hello'), 'x');
    assert.equal(await filtered([{ regex: '^b', replace: 'x', options: 'm' }], 'a\nb'), 'a\nx');
    assert.equal(await filtered([{ regex: 'a.b', replace: 'x' }], 'a\nb'), 'a\nb');
    assert.equal(await filtered([{ regex: 'a.b', replace: 'x', options: 's' }], 'a\nb'), 'x');
    assert.equal(await filtered([{ regex: 'b', replace: 'x', options: 'a' }], 'ab'), 'ab');
  });

  test('come to an end with a pattern that matches nothing', async () => {
    assert.equal(await filtered([{ regex: 'x*', replace: '-', scope: 'global' }], 'axb'), '-a--b-');
  });

  test('keep text beyond ASCII and bytes that are no text', async () => {
    assert.equal(await filtered([{ regex: 'ö', replace: 'oe' }], 'schön'), 'schoen');
    const { response } = await run(
      responseRewrite,
      { filters: [{ regex: 'a', replace: 'b' }] },
      {},
      { upstream: { body: Uint8Array.of(255, 0x61, 0, 200) } },
    );
    assert.deepEqual([...response.bytes], [255, 0x62, 0, 200]);
  });

  test('drop the fields that spoke of the old body, unless nothing was found', async () => {
    const headers = { ETag: '"1"', 'Content-Length': '5' };
    const config = { filters: [{ regex: 'l', replace: 'L' }] };
    const found = await run(responseRewrite, config, {}, { upstream: { headers, body: 'hello' } });
    assert.deepEqual(found.response.headerList, []);
    const none = await run(responseRewrite, config, {}, { upstream: { headers, body: 'xxxxx' } });
    assert.equal(none.response.headers.etag, '"1"');
  });

  test('unpack a body in a content coding', async () => {
    const config = { filters: [{ regex: 'l', replace: 'L' }] };
    for (const [coding, body] of [
      ['gzip', gzipSync('hello')],
      ['br', brotliCompressSync('hello')],
      ['deflate', deflateSync('hello')],
      ['GZIP', gzipSync('hello')],
    ] as const) {
      const upstream = { headers: { 'Content-Encoding': coding }, body };
      const { response } = await run(responseRewrite, config, {}, { upstream });
      assert.equal(response.body, 'heLlo', coding);
      assert.equal('content-encoding' in response.headers, false);
    }
  });

  test('leave a body alone that they cannot unpack, and say so', async () => {
    const config = { filters: [{ regex: 'l', replace: 'L' }] };
    for (const coding of ['zstd', 'gzip']) {
      const upstream = { headers: { 'Content-Encoding': coding }, body: 'hello' };
      const { response, log } = await run(responseRewrite, config, {}, { upstream });
      assert.equal(response.body, 'hello');
      assert.equal(response.headers['content-encoding'], coding);
      assert.match(log[0].message, /^filters skipped: /);
    }
  });

  test('alone hold the body; nothing else does', () => {
    assert.equal(needsBody({ filters: [] }), 'response');
    assert.equal(needsBody({ body: 'x', status_code: 200 }), undefined);
    assert.equal('responseBody' in bind(responseRewrite, { body: 'x' }).handlers, false);
  });
});

describe('a config', () => {
  const refusal = (config: object) => checkConfig(responseRewrite, { ...config });

  test('with malformed base64 is refused', () => {
    for (const body of [undefined, '', 'a', '!!!!', 'ab=c']) {
      assert.equal(refusal({ body, body_base64: true }), 'invalid base64 content', String(body));
    }
    assert.equal(refusal({ body: '1', body_base64: false }), undefined);
  });

  test('with a malformed expression is refused', () => {
    assert.match(
      refusal({ vars: [['status', '???', 200]] }) ?? '',
      /^failed to validate the 'vars' expression: invalid operator/,
    );
  });

  test('with a malformed filter is refused', () => {
    assert.equal(
      refusal({ filters: [{ regex: 'hello(', replace: 'x' }] }),
      'regex "hello(" validation failed: pcre2_compile() failed: missing closing parenthesis in "hello("',
    );
    assert.equal(
      refusal({ filters: [{ regex: 'hello', replace: 'x', options: 'h' }] }),
      'regex "hello" validation failed: unknown flag "h" (flags "h")',
    );
    assert.match(refusal({ filters: [{ regex: 'a', replace: '$name' }] }) ?? '', /replacement template/);
  });

  test('with a header that could not be sent is refused', () => {
    assert.equal(refusal({ headers: { 'X\r\nY': '1' } }), 'invalid field character in header');
    assert.equal(refusal({ headers: { set: { 'X Y': '1' } } }), 'invalid field character in header');
    assert.equal(refusal({ headers: { remove: ['\n'] } }), 'invalid field character in header');
  });
});

describe('the schema', () => {
  const refusal = (config: object) => validate(responseRewrite.config, config)?.message ?? '';

  test('takes a body or filters, not both', () => {
    const filters = [{ regex: 'a', replace: 'b' }];
    assert.match(
      refusal({ body: 'a', filters }),
      /^failed to validate dependent schema for "(?:body|filters)"/,
    );
    assert.equal(refusal({ filters }), '');
  });

  test('takes header changes in both forms', () => {
    assert.equal(refusal({ headers: { add: ['X-A: b'], set: { 'X-B': 1 }, remove: ['X-C'] } }), '');
    assert.equal(refusal({ headers: { 'X-A': 'b', 'X-N': 1 } }), '');
    assert.match(refusal({ headers: { add: ['no colon'] } }), /^property "headers" validation failed/);
    assert.match(refusal({ status_code: 599 }), /expected 599 to be at most 598/);
  });
});
