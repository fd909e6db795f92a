import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { validate } from '../../lib/json-schema.ts';
import { bind, checkConfig, run } from '../../plugin/testing.ts';
import { proxyRewrite } from './proxy-rewrite.ts';

const ORDERS = { regex_uri: ['^/api/v1/orders/(.*)', '/orders/$1'] };

/** What the Upstream sees as request target. */
async function target(config: Record<string, unknown>, sent: string): Promise<string> {
  const { request } = await run(proxyRewrite, config, { target: sent });
  return request.query === '' ? request.path : `${request.path}?${request.query}`;
}

describe('regex_uri', () => {
  test('rewrites the path and keeps the query, as recorded', async () => {
    const { request } = await run(
      proxyRewrite,
      { ...ORDERS, headers: { set: { 'X-Gateway': 'apisix' } } },
      { target: '/api/v1/orders/42?expand=items' },
    );
    assert.equal(request.path, '/orders/42');
    assert.equal(request.query, 'expand=items');
    assert.equal(request.headers['x-gateway'], 'apisix');
  });

  test('takes an empty capture, as recorded', async () => {
    assert.equal(await target(ORDERS, '/api/v1/orders/'), '/orders/');
  });

  test('keeps triplets as they are', async () => {
    assert.equal(await target(ORDERS, '/api/v1/orders/c%20d?q=%2F'), '/orders/c%20d?q=%2F');
    assert.equal(await target(ORDERS, '/api/v1/orders/a%3Fb'), '/orders/a%3Fb');
  });

  test('leaves a path alone that it does not match', async () => {
    assert.equal(await target(ORDERS, '/other?a=1'), '/other?a=1');
  });

  test('takes the first pair that matches', async () => {
    const config = { regex_uri: ['^/a/(.*)', '/first/$1', '^/(.*)', '/second/$1'] };
    assert.equal(await target(config, '/a/x'), '/first/x');
    assert.equal(await target(config, '/b/x'), '/second/b/x');
  });

  test('replaces only what it matched', async () => {
    assert.equal(await target({ regex_uri: ['/v1/', '/v2/'] }, '/api/v1/orders/v1/x'), '/api/v2/orders/v1/x');
  });

  test('begins a query where the template has a question mark, and appends the one that was sent', async () => {
    const config = { regex_uri: ['^/orders/(\\d+)$', '/orders?id=$1'] };
    assert.equal(await target(config, '/orders/7'), '/orders?id=7');
    assert.equal(await target(config, '/orders/7?a=b'), '/orders?id=7&a=b');
  });

  test('gives a path its leading slash', async () => {
    assert.equal(await target({ regex_uri: ['^/x/(.*)', '$1'] }, '/x/y'), '/y');
  });

  test('refuses to climb out of the place that the template names', async () => {
    const config = { regex_uri: ['^/files(.*)', '/data/files/$1'] };
    for (const sent of ['/files../secret', '/files%2e%2E/secret', '/files/x/..', '/files..']) {
      assert.equal((await run(proxyRewrite, config, { target: sent })).reply?.status, 400, sent);
    }
    assert.equal(await target(config, '/files/..a/b..'), '/data/files//..a/b..');
  });
});

describe('uri', () => {
  test('replaces the path and keeps the query', async () => {
    assert.equal(await target({ uri: '/new' }, '/old?a=1'), '/new?a=1');
  });

  test('puts in variables', async () => {
    assert.equal(await target({ uri: '/v2$uri' }, '/orders'), '/v2/orders');
    assert.equal(
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation of templates.
      await target({ uri: '/${arg_name}s/$arg_id' }, '/x?name=order&id=7'),
      '/orders/7?name=order&id=7',
    );
  });

  test('goes before regex_uri', async () => {
    assert.equal(await target({ ...ORDERS, uri: '/fixed' }, '/api/v1/orders/1'), '/fixed');
  });

  test('appends the query to its own', async () => {
    assert.equal(await target({ uri: '/new?fixed=1' }, '/old?a=1'), '/new?fixed=1&a=1');
  });

  test('does not let a variable begin a query or a fragment', async () => {
    assert.equal(
      await target({ uri: '/x/$arg_p' }, '/?p=a%3Fadmin%3D1%23f'),
      '/x/a%3Fadmin=1%23f?p=a%3Fadmin%3D1%23f',
    );
  });

  test('does not let a variable climb', async () => {
    const { reply } = await run(proxyRewrite, { uri: '/data/$arg_p' }, { target: '/?p=..%2Fsecret' });
    assert.equal(reply?.status, 400);
  });
});

describe('what a client sends', () => {
  test('never breaks the request line', async () => {
    const sent = '/?p=%0D%0AHost:%20evil%0D%0A%0D%0A&q=a%20HTTP/1.1%0D%0AX-Evil:%201';
    const { request } = await run(proxyRewrite, { uri: '/x/$arg_p?q=$arg_q' }, { target: sent });
    assert.equal(request.path, '/x/%0D%0AHost:%20evil%0D%0A%0D%0A');
    assert.match(request.query, /^q=a%20HTTP\/1\.1%0D%0AX-Evil:%201&/);
  });

  test('never breaks a header line', async () => {
    const { request } = await run(
      proxyRewrite,
      { headers: { set: { 'X-Set': 'a $arg_p' }, add: { 'X-Add': '$arg_p' } } },
      { target: '/?p=1%0D%0AX-Evil:%202%00%E4%BD%8D' },
    );
    const bytes = '1  X-Evil: 2 \xe4\xbd\x8d';
    assert.equal(request.headers['x-set'], `a ${bytes}`);
    assert.equal(request.headers['x-add'], bytes);
  });

  test('is not read as a variable or a capture', async () => {
    const { request } = await run(
      proxyRewrite,
      { regex_uri: ['^/(.*)', '/x/$1'], headers: { set: { 'X-A': '$1 $arg_p' } } },
      { target: '/$http_secret?p=$1$http_secret', headers: { secret: 's' } },
    );
    assert.equal(request.headers['x-a'], '$http_secret $1$http_secret');
    assert.equal(request.path, '/x/$http_secret');
  });

  test('makes only printable ASCII without spaces of a path and query', async () => {
    const bound = bind(proxyRewrite, { uri: '/$arg_a?x=$arg_b' });
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async (value) => {
        const variables = { arg_a: value, arg_b: value };
        const { reply, request } = await bound.request({ target: '/q' }, { variables });
        if (reply !== undefined) return;
        assert.match(request.path, /^\/[\x21-\x7e]*$/);
        assert.doesNotMatch(request.path, /[?#]/);
        assert.match(request.query, /^[\x21-\x7e]*$/);
      }),
      { numRuns: 60 },
    );
  });
});

describe('headers', () => {
  test('adds, sets and removes', async () => {
    const { request } = await run(
      proxyRewrite,
      {
        headers: { add: { 'X-A': '2' }, set: { 'X-B': 'new', 'X-N': 5, 'X-Empty': '' }, remove: ['X-Gone'] },
      },
      { headers: { 'x-a': '1', 'x-b': 'old', 'x-gone': 'here', 'x-empty': 'here' } },
    );
    assert.equal(request.headers['x-a'], '1, 2');
    assert.equal(request.headers['x-b'], 'new');
    assert.equal(request.headers['x-n'], '5');
    assert.equal('x-gone' in request.headers, false);
    assert.equal('x-empty' in request.headers, false);
  });

  test('sets names and values in the older form', async () => {
    const { request } = await run(
      proxyRewrite,
      { headers: { 'X-API-Version': 'v1', set: 'a name like others' } },
      { headers: { 'x-api-version': 'v0' } },
    );
    assert.equal(request.headers['x-api-version'], 'v1');
    assert.equal(request.headers.set, 'a name like others');
  });

  test('puts in variables and captures', async () => {
    const { request } = await run(
      proxyRewrite,
      {
        regex_uri: ['^/test/(.*)/(.*)/(.*)', '/$1_$2_$3'],
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation of templates.
        headers: { set: { 'X-Who': '$remote_addr', 'X-Test': '${1}-$2 of $3x', 'X-None': 'a$9b$no_such' } },
      },
      { target: '/test/plugin/proxy/rewrite', clientAddress: '203.0.113.9' },
    );
    assert.equal(request.path, '/plugin_proxy_rewrite');
    assert.equal(request.headers['x-who'], '203.0.113.9');
    assert.equal(request.headers['x-test'], 'plugin-proxy of rewritex');
    assert.equal(request.headers['x-none'], 'ab');
  });

  test('leaves out captures when nothing matched', async () => {
    const config = { regex_uri: ['^/x/(.*)', '/$1'], headers: { set: { 'X-A': 'v$1' } } };
    const { request } = await run(proxyRewrite, config, { target: '/y' });
    assert.equal(request.headers['x-a'], 'v');
  });
});

test('sets method and host', async () => {
  const { request } = await run(proxyRewrite, { method: 'POST', host: 'orders.internal:8080' });
  assert.equal(request.method, 'POST');
  assert.equal(request.host, 'orders.internal:8080');
  assert.equal(request.path, '/');
});

describe('use_real_request_uri_unsafe', () => {
  const unsafe = { use_real_request_uri_unsafe: true };

  test('sends the path and query as the client wrote them', async () => {
    assert.equal(await target(unsafe, '/a/../b%2Fc//d?x=1'), '/a/../b%2Fc//d?x=1');
    assert.equal(await target(unsafe, 'http://host.test/a?x=1'), '/a?x=1');
  });

  test('rewrites them, and still breaks no request line', async () => {
    const config = { ...unsafe, regex_uri: ['^/api/(.*)', '/$1'] };
    assert.equal(await target(config, '/api/a/../b?x=1'), '/a/../b?x=1');
    assert.equal(await target(unsafe, '/a b\r\nX: 1'), '/a%20b%0D%0AX:%201');
  });
});

describe('a config', () => {
  test('with a malformed expression is refused in the recorded words', () => {
    assert.equal(
      checkConfig(proxyRewrite, { regex_uri: ['^/(', '/x'] }),
      'invalid regex_uri(^/(, /x): pcre2_compile() failed: missing closing parenthesis in "^/("',
    );
  });

  test('with half a pair is refused', () => {
    assert.equal(
      checkConfig(proxyRewrite, { regex_uri: ['^/a', '/b', '^/c'] }),
      'The length of regex_uri should be an even number',
    );
  });

  test('with a template that names no capture is refused', () => {
    assert.match(
      checkConfig(proxyRewrite, { regex_uri: ['^/a', '/$name'] }) ?? '',
      /^invalid regex_uri\(\^\/a, \/\$name\): failed to compile the replacement template/,
    );
  });

  test('with a header that could not be sent is refused', () => {
    const refused = (headers: unknown) => checkConfig(proxyRewrite, { headers });
    assert.equal(refused({ 'X\r\nY': 'v' }), 'invalid field character in header');
    assert.equal(refused({ set: { 'X Y': 'v' } }), 'invalid field character in header');
    assert.equal(refused({ remove: ['X\n'] }), 'invalid field character in header');
    assert.equal(refused({ '': 'v' }), 'invalid field length in header');
    assert.equal(refused({ 'X-A': 'v\r\nX-Evil: 1' }), 'invalid value character in header');
  });

  test('that is empty is accepted, as recorded', async () => {
    assert.equal(checkConfig(proxyRewrite, {}), undefined);
    assert.equal(await target({}, '/a?b'), '/a?b');
  });
});

test('the schema takes header changes in both forms, and paths, methods and hosts', () => {
  const accepts = (config: object) => validate(proxyRewrite.config, config) === undefined;
  assert.equal(accepts({ headers: { set: { 'X-A': 'b' }, add: { 'X-N': 1 }, remove: ['X-C'] } }), true);
  assert.equal(accepts({ headers: { 'X-API-Version': 'v1' } }), true);
  assert.equal(accepts({ headers: {} }), false);
  assert.equal(accepts({ headers: { set: { 'X-A': 'b' }, other: 'x' } }), false);
  assert.equal(accepts({ uri: '/x', method: 'PATCH', host: 'a.internal:80' }), true);
  assert.equal(accepts({ uri: 'x' }), false);
  assert.equal(accepts({ method: 'get' }), false);
  assert.equal(accepts({ host: 'a b' }), false);
  assert.equal(accepts({ regex_uri: ['^/'] }), false);
});
