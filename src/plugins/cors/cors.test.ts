import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { validate } from '../../lib/json-schema.ts';
import { reply } from '../../plugin/reply.ts';
import { bind, checkConfig, type RunOptions, run, type SeenResponse } from '../../plugin/testing.ts';
import { cors } from './cors.ts';

const A = 'http://a.example';
const LISTED = {
  allow_origins: A,
  allow_methods: 'GET,POST',
  allow_headers: 'X-A',
  allow_credential: true,
  max_age: 60,
};

function corsFields(response: SeenResponse): (readonly [string, string])[] {
  return response.headerList.filter(([name]) => /^(?:access-control-|vary$|timing-)/i.test(name));
}

async function get(
  config: Record<string, unknown>,
  origin: string | undefined,
  options: RunOptions = {},
): Promise<(readonly [string, string])[]> {
  const headers: Record<string, string> = origin === undefined ? {} : { origin };
  const { response } = await run(cors, config, { headers }, options);
  return corsFields(response);
}

async function allowedOrigin(
  config: Record<string, unknown>,
  origin: string | undefined,
  options: RunOptions = {},
): Promise<string | undefined> {
  return Object.fromEntries(await get(config, origin, options))['Access-Control-Allow-Origin'];
}

const DEFAULTS = [
  ['Access-Control-Allow-Origin', '*'],
  ['Access-Control-Allow-Methods', '*'],
  ['Access-Control-Max-Age', '5'],
  ['Access-Control-Allow-Headers', '*'],
];
const ALLOWED = [
  ['Vary', 'Origin'],
  ['Access-Control-Allow-Origin', A],
  ['Access-Control-Allow-Methods', 'GET,POST'],
  ['Access-Control-Max-Age', '60'],
  ['Access-Control-Allow-Headers', 'X-A'],
  ['Access-Control-Allow-Credentials', 'true'],
];

describe('the recorded exchanges', () => {
  test('defaults allow all', async () => {
    assert.deepEqual(await get({}, A), DEFAULTS);
  });

  test('a preflight is answered with 200 and an empty body', async () => {
    const { reply, response } = await run(
      cors,
      {},
      {
        method: 'OPTIONS',
        headers: {
          origin: A,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'X-A',
        },
      },
    );
    assert.equal(reply?.status, 200);
    assert.equal(response.body, '');
    assert.equal(response.headers['content-type'], 'text/plain; charset=utf-8');
    assert.deepEqual(corsFields(response), DEFAULTS);
  });

  test('a listed origin is named, with credentials', async () => {
    assert.deepEqual(await get(LISTED, A), ALLOWED);
  });

  test('another origin is told only that answers vary', async () => {
    assert.deepEqual(await get(LISTED, 'http://b.example'), [['Vary', 'Origin']]);
  });

  test('a preflight of a listed origin is told the same', async () => {
    const request = { method: 'OPTIONS', headers: { origin: A, 'access-control-request-method': 'POST' } };
    assert.deepEqual(corsFields((await run(cors, LISTED, request)).response), ALLOWED);
  });
});

describe('origins', () => {
  test('may be a list', async () => {
    const config = { allow_origins: 'http://a.example,https://b.example:8443' };
    assert.equal(await allowedOrigin(config, A), A);
    assert.equal(await allowedOrigin(config, 'https://b.example:8443'), 'https://b.example:8443');
    assert.equal(await allowedOrigin(config, 'https://b.example'), undefined);
    assert.equal(await allowedOrigin(config, undefined), undefined);
  });

  test('are all named by **', async () => {
    const config = { allow_origins: '**' };
    assert.equal(await allowedOrigin(config, 'https://any.example'), 'https://any.example');
    assert.equal(await allowedOrigin(config, undefined), '*');
  });

  test('may be patterns, beside which the list is not looked at', async () => {
    const config = { allow_origins: A, allow_origins_by_regex: ['^https://.*\\.test\\.com$', '^http://x$'] };
    assert.equal(await allowedOrigin(config, 'https://a.test.com'), 'https://a.test.com');
    assert.equal(await allowedOrigin(config, 'http://x'), 'http://x');
    assert.equal(await allowedOrigin(config, 'https://a.test.com.evil.example'), undefined);
    assert.equal(await allowedOrigin(config, A), undefined);
    assert.deepEqual(await get({ allow_origins_by_regex: ['^x$'] }, A), [['Vary', 'Origin']]);
  });

  test('may be in the metadata', async () => {
    const options = {
      metadata: { allow_origins: { SHOP: `${A},http://c.example`, OTHER: 'http://d.example' } },
    };
    const config = { allow_origins_by_metadata: ['NONE', 'SHOP'] };
    assert.equal(await allowedOrigin(config, 'http://c.example', options), 'http://c.example');
    assert.equal(await allowedOrigin(config, 'http://d.example', options), undefined);
    assert.equal(await allowedOrigin(config, 'http://c.example'), undefined);
    const both = { ...config, allow_origins: 'http://own.example' };
    assert.equal(await allowedOrigin(both, 'http://own.example', options), 'http://own.example');
  });

  test('are those that the client sent, whatever a Plugin made of the header since', async () => {
    const { handlers } = bind(cors, LISTED);
    const plugin = { ...cors, create: () => ({ ...handlers, access: rewriteOrigin }) };
    const { response } = await run(plugin, LISTED, { headers: { origin: A } });
    assert.deepEqual(corsFields(response), ALLOWED);
  });
});

function rewriteOrigin(exchange: { request: { setHeader(name: string, value: string): void } }): void {
  exchange.request.setHeader('Origin', 'http://rewritten.example');
}

describe('other fields', () => {
  test('** lists all methods', async () => {
    const fields = Object.fromEntries(await get({ allow_methods: '**' }, A));
    assert.equal(
      fields['Access-Control-Allow-Methods'],
      'GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE',
    );
  });

  test('** allows the header fields that are asked for', async () => {
    const headers = { origin: A, 'access-control-request-headers': 'X-A,X-B' };
    const asked = await run(cors, { allow_headers: '**' }, { method: 'OPTIONS', headers });
    assert.equal(asked.response.headers['access-control-allow-headers'], 'X-A,X-B');
    const none = Object.fromEntries(await get({ allow_headers: '**' }, A));
    assert.equal('Access-Control-Allow-Headers' in none, false);
  });

  test('header fields are exposed where configured', async () => {
    const fields = Object.fromEntries(await get({ expose_headers: 'X-Total' }, A));
    assert.equal(fields['Access-Control-Expose-Headers'], 'X-Total');
  });

  test('timings are shown to those who may see them', async () => {
    const timing = async (config: Record<string, unknown>, origin: string) =>
      Object.fromEntries(await get(config, origin))['Timing-Allow-Origin'];
    assert.equal(await timing({ timing_allow_origins: '*' }, A), '*');
    assert.equal(await timing({ timing_allow_origins: A }, A), A);
    assert.equal(await timing({ timing_allow_origins: A }, 'http://b.example'), undefined);
    assert.equal(
      await timing({ timing_allow_origins: A, timing_allow_origins_by_regex: ['^x$'] }, A),
      undefined,
    );
    assert.equal(await timing({ timing_allow_origins_by_regex: ['a\\.example$'] }, A), A);
    assert.equal(await timing({}, A), undefined);
  });
});

describe('the gateway owns CORS', () => {
  const upstream = {
    headers: [
      ['Access-Control-Allow-Origin', 'http://own.example'],
      ['Access-Control-Allow-Credentials', 'true'],
      ['Access-Control-Expose-Headers', 'X-Own'],
      ['Vary', 'Accept, Origin'],
    ] as const,
  };

  test('and replaces what the Upstream says', async () => {
    assert.deepEqual(await get({ max_age: 1 }, A, { upstream }), [
      ['Access-Control-Expose-Headers', 'X-Own'],
      ['Vary', 'Accept, Origin'],
      ['Access-Control-Allow-Origin', '*'],
      ['Access-Control-Allow-Methods', '*'],
      ['Access-Control-Max-Age', '1'],
      ['Access-Control-Allow-Headers', '*'],
    ]);
  });

  test('and lets the Upstream allow nobody whom it does not', async () => {
    const fields = await get(LISTED, 'http://own.example', { upstream });
    assert.deepEqual(fields, [
      ['Access-Control-Expose-Headers', 'X-Own'],
      ['Vary', 'Accept, Origin'],
    ]);
  });

  test('also on an answer that another Plugin gives before it', async () => {
    const { handlers } = bind(cors, LISTED);
    const plugin = { ...cors, create: () => ({ ...handlers, rewrite: () => reply(401) }) };
    const { response } = await run(plugin, LISTED, { headers: { origin: A } });
    assert.equal(response.status, 401);
    assert.deepEqual(corsFields(response), ALLOWED);
  });
});

test('no line break of a config gets into the answer', async () => {
  const fields = Object.fromEntries(await get({ allow_methods: 'GET\r\nX-Evil: 1' }, A));
  assert.equal(fields['Access-Control-Allow-Methods'], 'GET  X-Evil: 1');
});

describe('a config', () => {
  const WILDCARD = "you can not set '*' for other option when 'allow_credential' is true";

  test('with credentials and a wildcard is refused', () => {
    for (const name of [
      'allow_origins',
      'allow_methods',
      'allow_headers',
      'expose_headers',
      'timing_allow_origins',
    ]) {
      assert.equal(checkConfig(cors, { ...LISTED, [name]: '*' }), WILDCARD, name);
    }
    assert.equal(checkConfig(cors, { allow_credential: true }), WILDCARD);
    assert.equal(checkConfig(cors, LISTED), undefined);
  });

  test('with a malformed pattern is refused', () => {
    assert.match(checkConfig(cors, { allow_origins_by_regex: ['('] }) ?? '', /^pcre2_compile\(\) failed/);
    assert.match(
      checkConfig(cors, { timing_allow_origins_by_regex: ['('] }) ?? '',
      /^pcre2_compile\(\) failed/,
    );
  });
});

test('the schema takes origins and nothing like them', () => {
  const accepts = (allow_origins: string) => validate(cors.config, { allow_origins }) === undefined;
  for (const origins of ['*', '**', 'null', 'http://a.example', 'http://a.example:8080,https://b.example']) {
    assert.equal(accepts(origins), true, origins);
  }
  for (const origins of ['', 'a.example', '*,http://a.example', 'http://a.example,', 'http://a, http://b']) {
    assert.equal(accepts(origins), false, origins);
  }
});
