import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { validate } from '../../lib/json-schema.ts';
import { bind, checkConfig, run, type TestRequest } from '../../plugin/testing.ts';
import { redirect } from './redirect.ts';

async function location(
  config: Record<string, unknown>,
  request: TestRequest = {},
): Promise<string | undefined> {
  const { response } = await run(redirect, config, request);
  return response.headers.location;
}

describe('uri', () => {
  test('answers with a Location and 302', async () => {
    const { reply, response } = await run(redirect, { uri: '/test/default.html' });
    assert.equal(reply?.status, 302);
    assert.equal(response.headers.location, '/test/default.html');
  });

  test('has the status that is asked for', async () => {
    assert.equal((await run(redirect, { uri: '/x', ret_code: 308 })).reply?.status, 308);
  });

  test('puts in variables, one without a value as nothing', async () => {
    assert.equal(await location({ uri: '$uri/index.html' }, { target: '/test' }), '/test/index.html');
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation of templates.
    assert.equal(await location({ uri: '${uri}index$no_such.html' }, { target: '/a/' }), '/a/index.html');
    assert.equal(
      await location({ uri: '$scheme://$host:9000$request_uri' }, { target: '/a?b=c', host: 'example.com' }),
      'http://example.com:9000/a?b=c',
    );
  });

  test('takes an escaped dollar sign for one, and drops other backslashes', async () => {
    assert.equal(await location({ uri: '/\\$uri/$uri' }, { target: '/a' }), '/$uri//a');
    assert.equal(await location({ uri: '/a\\b' }), '/ab');
  });
});

describe('regex_uri', () => {
  const config = { regex_uri: ['^/iresty/(.*)/(.*)', '/$1-$2'] };

  test('redirects a path that matches', async () => {
    assert.equal(await location(config, { target: '/iresty/a/b?q=1' }), '/a-b');
  });

  test('lets another path go on', async () => {
    const { reply } = await run(redirect, config, { target: '/other' });
    assert.equal(reply, undefined);
  });

  test('keeps what stands before and after the match', async () => {
    assert.equal(await location({ regex_uri: ['/v1/', '/v2/'] }, { target: '/api/v1/x' }), '/api/v2/x');
  });

  test('may name another host', async () => {
    const config = { regex_uri: ['^/t/(\\w+)/(.*)', 'https://$1.example.com/$2'] };
    assert.equal(await location(config, { target: '/t/shop/a/b' }), 'https://shop.example.com/a/b');
  });
});

describe('append_query_string', () => {
  test('appends the query', async () => {
    const config = { uri: '/new', append_query_string: true };
    assert.equal(await location(config, { target: '/old?a=1' }), '/new?a=1');
    assert.equal(await location(config, { target: '/old' }), '/new');
  });

  test('appends it to the query of the uri', async () => {
    const config = { uri: '/new?x=y', append_query_string: true };
    assert.equal(await location(config, { target: '/old?a=1' }), '/new?x=y&a=1');
  });
});

test('encode_uri encodes what could be a fragment, in the path alone', async () => {
  assert.equal(await location({ uri: '/a#b?c#d', encode_uri: true }), '/a%23b?c#d');
  assert.equal(await location({ uri: '/a#b' }), '/a#b');
});

describe('http_to_https', () => {
  const config = { http_to_https: true };

  test('redirects GET and HEAD with 301 and all else with 308', async () => {
    for (const [method, status] of [
      ['GET', 301],
      ['HEAD', 301],
      ['POST', 308],
      ['DELETE', 308],
    ] as const) {
      const request = { method, target: '/hello?a=1', host: 'Example.com:8080' };
      const { reply, response } = await run(redirect, config, request);
      assert.equal(reply?.status, status, method);
      assert.equal(response.headers.location, 'https://example.com/hello?a=1');
    }
  });

  test('lets https go on', async () => {
    assert.equal((await run(redirect, config, { scheme: 'https' })).reply, undefined);
  });

  test('does not believe an X-Forwarded-Proto that the core did not', async () => {
    const { reply } = await run(redirect, config, { headers: { 'x-forwarded-proto': 'https' } });
    assert.equal(reply?.status, 301);
  });

  test('names the port of the metadata, unless it is 443', async () => {
    const at = async (https_port: number) =>
      (await run(redirect, config, { host: 'a.test' }, { metadata: { https_port } })).response.headers
        .location;
    assert.equal(await at(9443), 'https://a.test:9443/');
    assert.equal(await at(443), 'https://a.test/');
  });

  test('redirects to the path when the target is not one', async () => {
    assert.equal(await location(config, { host: 'a.test', target: '*' }), 'https://a.test/');
  });

  test('refuses a request without a host', async () => {
    assert.equal((await run(redirect, config, { host: '' })).reply?.status, 400);
  });

  test('that is off does nothing', async () => {
    assert.equal((await run(redirect, { http_to_https: false })).reply, undefined);
  });
});

describe('what a client sends', () => {
  const cases: [name: string, config: Record<string, unknown>, request: TestRequest, expected: string][] = [
    ['a host from a capture', { regex_uri: ['^/a(.*)', '/$1'] }, { target: '/a/evil.test' }, '/evil.test'],
    ['a host from $uri', { uri: '$request_uri' }, { target: '//evil.test/x' }, '/evil.test/x'],
    [
      'a host from a variable',
      { uri: '$arg_next' },
      { target: '/?next=https://evil.test' },
      '/https://evil.test',
    ],
    [
      'another scheme',
      { regex_uri: ['^/r/(.*)', '$1'] },
      { target: '/r/http:/evil.test' },
      '/http:/evil.test',
    ],
    ['a backslash', { uri: '/$arg_p' }, { target: '/?p=%5Cevil.test' }, '/%5Cevil.test'],
    ['a tab between slashes', { uri: '/$arg_p' }, { target: '/?p=%09/evil.test' }, '/%09/evil.test'],
    [
      'more of the host name',
      { regex_uri: ['^/x(.*)', 'https://example.com$1'] },
      { target: '/x.evil.test/' },
      'https://example.com/.evil.test/',
    ],
    [
      'user information',
      { regex_uri: ['^/x', 'https://example.com'] },
      { target: '/x@evil.test' },
      'https://example.com/@evil.test',
    ],
    [
      'line breaks',
      { uri: '/x?n=$arg_n' },
      { target: '/?n=1%0D%0ASet-Cookie:%20a=b' },
      '/x?n=1%0D%0ASet-Cookie:%20a=b',
    ],
  ];
  for (const [name, config, request, expected] of cases) {
    test(`redirects to no other place by ${name}`, async () => {
      assert.equal(await location(config, request), expected);
    });
  }

  test('is refused where it can be no part of a host', async () => {
    const config = { uri: 'https://$arg_tenant.example.com/' };
    assert.equal(await location(config, { target: '/?tenant=shop' }), 'https://shop.example.com/');
    const { reply } = await run(redirect, config, { target: '/?tenant=evil.test/' });
    assert.equal(reply?.status, 400);
  });

  test('is refused when the host would be empty', async () => {
    const { reply } = await run(
      redirect,
      { uri: 'https://$host$request_uri' },
      { host: '', target: '/evil.test' },
    );
    assert.equal(reply?.status, 400);
  });

  test('never leads to a host that the template does not name', async () => {
    const templates = [
      '/$arg_v',
      '$arg_v',
      '$uri$arg_v',
      '/a/$arg_v',
      'https://own.test$arg_v',
      'https://own.test/$arg_v',
    ];
    const bounds = templates.map((uri) => bind(redirect, { uri }));
    const unit = fc.constantFrom(
      '/',
      '\\',
      '.',
      '@',
      ':',
      '?',
      '#',
      '\t',
      '\n',
      ' ',
      'x',
      'evil.test',
      'http:',
    );
    await fc.assert(
      fc.asyncProperty(fc.string({ unit, maxLength: 8 }), async (value) => {
        for (const bound of bounds) {
          const { response } = await bound.request({}, { variables: { arg_v: value } });
          const place = response.headers.location;
          if (place !== undefined) assert.equal(new URL(place, 'https://own.test/').host, 'own.test', place);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('a config', () => {
  test('with a malformed expression is refused', () => {
    assert.equal(
      checkConfig(redirect, { regex_uri: ['^/(', '/x'] }),
      'invalid regex_uri (^/(, /x), err:pcre2_compile() failed: missing closing parenthesis in "^/("',
    );
  });

  test('with http_to_https and append_query_string is refused', () => {
    assert.equal(
      checkConfig(redirect, { http_to_https: true, append_query_string: true }),
      'only one of `http_to_https` and `append_query_string` can be configured.',
    );
  });
});

describe('the schema', () => {
  const refusal = (config: object) => validate(redirect.config, config)?.message;

  test('wants exactly one way to say where to', () => {
    assert.equal(refusal({}), 'value should match only one schema, but matches none');
    assert.equal(
      refusal({ uri: '/a', http_to_https: true }),
      'value should match only one schema, but matches both schemas 1 and 3',
    );
    assert.equal(refusal({ uri: '/a' }), undefined);
  });

  test('wants a uri of two characters and a status from 200', () => {
    assert.match(refusal({ uri: '/' }) ?? '', /^property "uri" validation failed: string too short/);
    assert.match(refusal({ uri: '/a', ret_code: 100 }) ?? '', /^property "ret_code" validation failed/);
  });
});
