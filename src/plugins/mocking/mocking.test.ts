import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { validate } from '../../lib/json-schema.ts';
import { bind, checkConfig, run } from '../../plugin/testing.ts';
import { mocking } from './mocking.ts';

describe('response_example', () => {
  test('is the answer, and the Upstream is not asked', async () => {
    const { reply, response } = await run(
      mocking,
      { response_example: '{"a":1,"b":2}', response_status: 201 },
      {},
      { upstream: () => assert.fail('asked the Upstream') },
    );
    assert.equal(reply?.status, 201);
    assert.equal(response.body, '{"a":1,"b":2}');
    assert.equal(response.headers['content-type'], 'application/json;charset=utf8');
    assert.equal(response.headers['x-mock-by'], 'Sluice');
  });

  test('may contain variables', async () => {
    const config = { response_example: 'hi $consumer_name from $remote_addr', content_type: 'text/plain' };
    const { response } = await run(mocking, config, { clientAddress: '203.0.113.9' }, { consumer: 'jane' });
    assert.equal(response.body, 'hi jane from 203.0.113.9');
    assert.equal(response.headers['content-type'], 'text/plain');
  });

  test('goes before response_schema', async () => {
    const config = { response_example: 'x', response_schema: { type: 'object' } };
    assert.equal((await run(mocking, config)).response.body, 'x');
  });
});

describe('response_schema', () => {
  const SCHEMA = {
    type: 'object',
    properties: {
      field0: { type: 'string', example: 'abcd $arg_q' },
      field1: { type: 'number', example: 123.12 },
      field2: { type: 'array', items: { type: 'integer', example: 155.55 } },
      field3: {
        type: 'object',
        properties: { flag: { type: 'boolean', example: true }, unknown: { type: 'date' } },
      },
    },
  };

  test('gives its examples', async () => {
    const { response } = await run(mocking, { response_schema: SCHEMA }, { target: '/?q=%22' });
    const body = JSON.parse(response.body);
    assert.equal(body.field0, 'abcd "');
    assert.equal(body.field1, 123.12);
    assert.deepEqual(body.field3, { flag: true, unknown: null });
    assert.ok(body.field2.length >= 1 && body.field2.length <= 3);
    assert.ok(body.field2.every((item: unknown) => item === 155));
  });

  test('gives random values of the types where it has no example', async () => {
    const properties = {
      text: { type: 'string' },
      number: { type: 'number' },
      integer: { type: 'integer' },
      flag: { type: 'boolean' },
      list: { type: 'array', items: { type: 'string' } },
      ['__proto__']: { type: 'integer' },
    };
    const bound = bind(mocking, { response_schema: { properties } });
    const bodies = new Set<string>();
    for (let count = 0; count < 30; count++) {
      const { response } = await bound.request();
      bodies.add(response.body);
      const { text, number, integer, flag, list } = JSON.parse(response.body);
      assert.match(text, /^[a-z]{1,10}$/);
      assert.ok(number >= 0 && number < 10000);
      assert.ok(Number.isInteger(integer) && integer >= 1 && integer <= 10000);
      assert.equal(typeof flag, 'boolean');
      assert.ok(list.length >= 1 && list.length <= 3);
    }
    assert.equal(bodies.size, 30);
  });

  test('is written as XML where the type is XML', async () => {
    const schema = {
      properties: {
        name: { type: 'string', example: '<a&b>' },
        tag: { type: 'array', items: { type: 'string', example: 't' } },
      },
    };
    const config = { response_schema: schema, content_type: 'application/xml' };
    const { response } = await run(mocking, config);
    assert.match(response.body, /^<data><name>&lt;a&amp;b&gt;<\/name>(?:<tag>t<\/tag>){1,3}<\/data>$/);
  });

  test('has no meaning for HTML, which is logged', async () => {
    const bound = bind(mocking, { response_schema: SCHEMA, content_type: 'text/html' });
    assert.equal((await bound.request()).response.body, '');
    assert.equal(bound.kit.lines[0].message, 'json schema body only support xml and json content type');
  });
});

test('waits before answering', async () => {
  const { delays, response } = await run(mocking, { response_example: 'x', delay: 2 });
  assert.deepEqual(delays, [2000]);
  assert.equal(response.body, 'x');
});

test('does not wait when no delay is configured', async () => {
  assert.deepEqual((await run(mocking, { response_example: 'x' })).delays, []);
});

test('adds header fields, and no line break of a variable to the head', async () => {
  const { response } = await run(
    mocking,
    { response_example: 'x', with_mock_header: false, response_headers: { 'X-Foo': 'bar $arg_q', 'X-N': 3 } },
    { target: '/?q=1%0D%0AX-Evil:%202' },
  );
  assert.equal(response.headers['x-foo'], 'bar 1  X-Evil: 2');
  assert.equal(response.headers['x-n'], '3');
  assert.equal('x-mock-by' in response.headers, false);
});

describe('a config', () => {
  test('with another content type is refused', () => {
    const config = { response_example: 'x', content_type: 'application/pdf' };
    assert.equal(checkConfig(mocking, config), 'unsupported content type!');
    assert.equal(checkConfig(mocking, { ...config, content_type: 'text/html;charset=utf8' }), undefined);
  });

  test('with a status that ends no exchange is refused', () => {
    const refusal = 'response_status must be between 200 and 999';
    assert.equal(checkConfig(mocking, { response_example: 'x', response_status: 101 }), refusal);
    assert.equal(checkConfig(mocking, { response_example: 'x', response_status: 1000 }), refusal);
  });
});

test('the schema wants an example or a schema', () => {
  assert.equal(
    validate(mocking.config, {})?.message,
    'object matches none of the required: ["response_example"] or ["response_schema"]',
  );
  assert.equal(validate(mocking.config, { response_schema: {} }), undefined);
});
