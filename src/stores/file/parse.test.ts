import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Configuration } from '../../model/configuration.ts';
import { Sealing } from '../../model/sealing.ts';
import { formatError } from './file-error.ts';
import { parseText, parseValue } from './parse.ts';

/** What is wrong with a text, each as one line. */
function errorsOf(text: string, file = 'sluice.yaml', environment = {}): string[] {
  return parseText(file, text, { environment }).errors.map(formatError);
}

const YAML = `
listeners:
  - address: 127.0.0.1:8000
workers: 2
upstreams:
  - id: backend
    nodes: { '127.0.0.1:1980': 1 }
consumers:
  - username: jack
    plugins: { key-auth: { key: one } }
    credentials:
      - id: second
        plugins: { key-auth: { key: two } }
routes:
  - id: 7
    uri: /a
secrets:
  - id: vault/1
    prefix: kv
plugin_metadata:
  - id: prometheus
protos:
`;

describe('a file', () => {
  test('holds settings and resources under the names of the Admin API', () => {
    const file = parseText('sluice.yaml', YAML);
    assert.deepEqual(file.errors, []);
    assert.deepEqual(file.settings.listeners, [{ address: '127.0.0.1:8000' }]);
    assert.equal(file.settings.workers, 2);
    assert.equal(file.settings.client.max_headers, 100);
    assert.deepEqual(file.resources, [
      { kind: 'routes', id: '7', value: { id: 7, uri: '/a' } },
      { kind: 'upstreams', id: 'backend', value: { id: 'backend', nodes: { '127.0.0.1:1980': 1 } } },
      { kind: 'consumers', id: 'jack', value: { username: 'jack', plugins: { 'key-auth': { key: 'one' } } } },
      {
        kind: 'credentials',
        id: 'jack/second',
        value: { id: 'second', plugins: { 'key-auth': { key: 'two' } } },
      },
      { kind: 'secrets', id: 'vault/1', value: { id: 'vault/1', prefix: 'kv' } },
      { kind: 'plugin_metadata', id: 'prometheus', value: { id: 'prometheus' } },
    ]);
  });

  test('says the same as JSON', () => {
    const json = JSON.stringify(
      { $schema: 'x', workers: 2, routes: [{ id: 'a', uri: '/"a":' }] },
      undefined,
      2,
    );
    const file = parseText('sluice.json', '\uFEFF' + json);
    assert.deepEqual(file.errors, []);
    assert.equal(file.settings.workers, 2);
    assert.deepEqual(file.resources, [{ kind: 'routes', id: 'a', value: { id: 'a', uri: '/"a":' } }]);
    assert.deepEqual(file.positionOf(['routes', 0, 'uri']), { line: 7, column: 7 });
  });

  test('says the same as a value of a module, which has no lines', () => {
    const file = parseValue('sluice.ts', { routes: [{ id: 'a', uri: '/a', desc: undefined }], rotes: [] });
    assert.deepEqual(file.resources, [{ kind: 'routes', id: 'a', value: { id: 'a', uri: '/a' } }]);
    assert.deepEqual(file.errors.map(formatError), [
      'sluice.ts: rotes: unknown name rotes; did you mean routes?',
    ]);
    assert.equal(file.positionOf(['routes', 0]), undefined);
  });

  test('may share parts by anchors and merge keys', () => {
    const file = parseText(
      'sluice.yaml',
      'routes:\n  - &first\n    id: a\n    uri: /a\n  - <<: *first\n    id: b\n    upstream: &up { type: roundrobin }\n  - { id: c, upstream: *up }',
    );
    assert.deepEqual(file.errors, []);
    assert.deepEqual(
      file.resources.map(({ value }) => value),
      [
        { id: 'a', uri: '/a' },
        { id: 'b', uri: '/a', upstream: { type: 'roundrobin' } },
        { id: 'c', upstream: { type: 'roundrobin' } },
      ],
    );
    assert.deepEqual(file.positionOf(['routes', 1, 'uri']), { line: 4, column: 5 });
    assert.deepEqual(file.positionOf(['routes', 2, 'upstream', 'type'])?.line, 7);
  });
});

describe('positions', () => {
  const file = parseText('sluice.yaml', YAML);

  test('are those of keys and of items', () => {
    assert.deepEqual(file.positionOf(['listeners', 0]), { line: 3, column: 5 });
    assert.deepEqual(file.positionOf(['routes', 0, 'uri']), { line: 16, column: 5 });
    assert.deepEqual(file.positionOf([]), { line: 2, column: 1 });
  });

  test('of what is missing are those of what should hold it', () => {
    assert.deepEqual(file.positionOf(['routes', 0, 'plugins', 'x']), { line: 15, column: 5 });
    assert.deepEqual(file.positionOf(['routes', 9]), { line: 14, column: 1 });
  });

  test('are found for errors that the model reports by kind and index', () => {
    const error = { index: 0, path: ['plugins', 'key-auth', 'key'], message: 'no' };
    assert.equal(
      formatError(file.locate({ kind: 'credentials', ...error })),
      'sluice.yaml:13:32: consumers[0].credentials[0].plugins.key-auth.key: no',
    );
    assert.equal(
      formatError(file.locate({ kind: 'consumers', ...error })),
      'sluice.yaml:10:28: consumers[0].plugins.key-auth.key: no',
    );
    assert.equal(
      formatError(file.errorAt(['upstreams', 0, 'nodes', '127.0.0.1:1980'], 'no')),
      'sluice.yaml:7:14: upstreams[0].nodes["127.0.0.1:1980"]: no',
    );
  });
});

test('errors that the model finds have their lines, also in lists with gaps and inside Consumers', () => {
  const file = parseText(
    'sluice.yaml',
    `upstreams:
  - id: a
    nodes: { '127.0.0.1:80': 1 }
    retries: many
consumers:
  - username: jack
  - username: jill
    credentials:
      - id: one
        colour: red
routes:
  - id: a
    uri: /a
    upstream_id: nope
`,
  );
  assert.deepEqual(file.errors, []);
  const configuration = new Configuration({ plugins: [], sealing: Sealing.ephemeral() });
  const result = configuration.replace(file.resources);
  assert.ok(!result.ok);
  const lines = result.errors.map((error) => formatError(file.locate(error))).sort();
  assert.equal(lines.length, 3, lines.join('\n'));
  assert.match(
    lines[0],
    /^sluice\.yaml:10:9: consumers\[1\]\.credentials\[0\]\.colour: .*additional properties forbidden/,
  );
  assert.match(lines[1], /^sluice\.yaml:14:5: routes\[0\]\.upstream_id: .*upstream id \[nope\]/);
  assert.match(lines[2], /^sluice\.yaml:4:5: upstreams\[0\]\.retries: .*expected integer/);
});

describe('a file is refused', () => {
  const refusals: Readonly<Record<string, readonly [text: string, ...errors: RegExp[]]>> = {
    'when it is empty': ['', /^sluice.yaml:1:1: the file is empty$/],
    'when it holds comments only': ['# nothing\n', /the file is empty/],
    'when it is a list': ['- a', /^sluice.yaml:1:1: expected names and values at the top, got a list$/],
    'when YAML is malformed': ['workers: 1\nroutes: [{ id: a\n', /^sluice.yaml:\d:\d+: Flow/],
    'when it holds two documents': ['workers: 1\n---\nworkers: 2\n', /^sluice.yaml:2:1: .*one document only/],
    'for a tag': ['workers: !!js/function "x"', /^sluice.yaml:1:10: tags are not allowed/],
    'for a tag YAML knows': ['data_dir: !!binary aGk=', /^sluice.yaml:1:11: tags are not allowed/],
    'for duplicate keys': [
      'routes:\n  - id: a\n    uri: /a\n    uri: /b',
      /^sluice.yaml:4:5: routes\[0\].uri: duplicate key "uri"; it is already on line 3$/,
    ],
    'for keys that are the same text': [
      'workers: 1\n"workers": 1',
      /^sluice.yaml:2:1: workers: duplicate key/,
    ],
    'for a key that is a list': [
      'routes: [{ id: 1, ? [a] : b }]',
      /^sluice.yaml:1:21: routes\[0\]: a key must be a text/,
    ],
    'for an unknown anchor': [
      'routes: *nope',
      /^sluice.yaml:1:9: routes: nothing before this has the anchor &nope/,
    ],
    'for a value that contains itself': ['routes: &a [*a]', /routes\[0\]: the value contains itself/],
    'for a number JSON lacks': ['workers: .inf', /^sluice.yaml:1:1: workers: Infinity is not a number/],
    'for __proto__': [
      'routes: [{ id: a, __proto__: { uri: /x } }]',
      /^sluice.yaml:1:19: routes\[0\].__proto__: the name __proto__ is not allowed/,
    ],
    'for constructor': [
      'routes: [{ id: a, plugins: { constructor: {} } }]',
      /routes\[0\].plugins.constructor: the name constructor/,
    ],
    'for an unknown name': [
      'workers: 1\nlisteners: []\nupstraems: []',
      /^sluice.yaml:3:1: upstraems: unknown name upstraems; did you mean upstreams\?/,
      /^sluice.yaml:2:1: listeners: /,
    ],
    'for a name unlike any other': ['banana: 1', /^sluice.yaml:1:1: banana: unknown name banana$/],
    'for credentials at the top': [
      'credentials: []',
      /^sluice.yaml:1:1: credentials: credentials belong inside their consumer/,
    ],
    'for a wrong setting': [
      'client:\n  max_headers: many',
      /^sluice.yaml:2:3: client.max_headers: .*expected integer/,
    ],
    'for a wrong address': [
      'listeners:\n  - address: localhost',
      /^sluice.yaml:2:5: listeners\[0\].address: invalid address "localhost": the port is missing/,
    ],
    'for a map where a list should be': [
      'routes: { a: {} }',
      /^sluice.yaml:1:1: routes: expected a list of objects with id, got an object/,
    ],
    'for an item that is no object': [
      'consumers: [jack]',
      /^sluice.yaml:1:13: consumers\[0\]: expected an object, got a text/,
    ],
    'for a missing id': ['routes:\n  - uri: /a', /^sluice.yaml:2:5: routes\[0\]: id is missing/],
    'for a missing username': ['consumers: [{ id: jack }]', /consumers\[0\]: username is missing/],
    'for an id of another type': [
      'routes: [{ id: true }, { id: 1.5 }]',
      /routes\[0\].id: id must be a text or a whole number, got a boolean/,
      /routes\[1\].id: .*got a number/,
    ],
    'for duplicate ids': [
      'routes:\n  - id: 1\n  - id: "1"',
      /^sluice.yaml:3:5: routes\[1\].id: duplicate id 1; routes\[0\] has it too/,
    ],
    'for duplicate credentials': [
      'consumers: [{ username: a, credentials: [{ id: x }, { id: x }] }]',
      /consumers\[0\].credentials\[1\].id: duplicate id x/,
    ],
    'for a secret without manager': [
      'secrets: [{ id: one }]',
      /secrets\[0\].id: the id of a secret is its manager and a name/,
    ],
  };
  for (const [name, [text, ...expected]] of Object.entries(refusals)) {
    test(name, () => {
      const errors = errorsOf(text);
      assert.equal(errors.length, expected.length, errors.join('\n'));
      expected.forEach((pattern, index) => {
        assert.match(errors[index], pattern);
      });
      assert.ok(!('uri' in {}), 'nothing reached a prototype');
    });
  }

  test('for aliases that would fill the memory', () => {
    let text = 'a: &a0 [x, x, x, x, x, x, x, x, x]\n';
    for (let level = 1; level < 9; level++)
      text += `b${level}: &a${level} [${Array(9)
        .fill(`*a${level - 1}`)
        .join()}]\n`;
    assert.match(errorsOf(text).join('\n'), /Excessive alias count/);
  });

  test('for values nested deeper than the stack, or than any configuration', () => {
    for (const depth of [300, 20_000]) {
      const json = `{"routes":${'['.repeat(depth)}${']'.repeat(depth)}}`;
      for (const file of ['sluice.json', 'sluice.yaml']) {
        const errors = errorsOf(json, file);
        assert.equal(errors.length, 1);
        assert.match(errors[0], /nested too deeply|too deep/i, file);
      }
    }
  });

  test('with all that is wrong at once', () => {
    assert.equal(errorsOf('rotes: []\nroutes: [{}, { id: a }, { id: a }]\nworkers: -1').length, 4);
  });

  const json: Readonly<Record<string, readonly [text: string, error: RegExp]>> = {
    'in an object': [
      '{\n  "workers": 1,\n}',
      /^sluice.json:3:1: not JSON: there is } where a name in double quotes should be$/,
    ],
    'at its end': [
      '{ "workers": 1',
      /^sluice.json:1:15: not JSON: the file ends where a comma or } should be$/,
    ],
    'in a list': [
      '{ "routes": [1 2] }',
      /^sluice.json:1:16: not JSON: there is something else where a comma or \] should be$/,
    ],
    'after its end': ['{} {}', /^sluice.json:1:4: not JSON: there is { where the end of the file should be$/],
    'with a quote that is not closed': [
      '{ "a": "b }',
      /^sluice.json:1:8: not JSON: there is " where a value should be$/,
    ],
    'by a name twice': [
      '{ "workers": 1,\n "workers": 2 }',
      /^sluice.json:2:2: workers: duplicate key "workers"; it is already on line 1$/,
    ],
    'by a prototype': [
      '{\n"__proto__": { "workers": 1 } }',
      /^sluice.json:2:1: __proto__: the name __proto__ is not allowed$/,
    ],
  };
  for (const [place, [text, error]] of Object.entries(json)) {
    test(`for JSON that is wrong ${place}`, () => {
      const errors = errorsOf(text, 'sluice.json');
      assert.equal(errors.length, 1, errors.join('\n'));
      assert.match(errors[0], error);
    });
  }

  test('for values of a module that JSON does not have', () => {
    const own: Record<string, unknown> = { date: new Date(0), run: () => 1, big: 1n, map: new Map() };
    own.self = own;
    const paths = parseValue('sluice.ts', { routes: [{ id: 'a', own }] }).errors.map(({ path }) => path);
    assert.deepEqual(
      paths,
      ['date', 'run', 'big', 'map', 'self'].map((name) => `routes[0].own.${name}`),
    );
  });
});

test('an error is one line, whatever its message holds', () => {
  assert.equal(
    formatError({ file: 'f', line: 1, column: 2, path: 'a', message: 'one\n  two\r\n' }).trim(),
    'f:1:2: a: one two',
  );
});

test('any JSON that is a configuration is read as JSON.parse reads it, and broken JSON is refused', () => {
  const safe = fc
    .jsonValue()
    .filter((value) => !/__proto__|constructor|prototype|\$\{\{/.test(JSON.stringify(value)));
  fc.assert(
    fc.property(safe, fc.nat(), (value, cut) => {
      const text = JSON.stringify({ routes: [{ id: 'a', value }] }, undefined, cut % 3);
      const file = parseText('sluice.json', text);
      assert.deepEqual(file.errors, []);
      assert.deepEqual(file.resources[0].value, JSON.parse(text).routes[0]);
      const [error] = parseText('sluice.json', text.slice(0, cut % text.length)).errors;
      assert.match(error.message, /^not JSON: /);
      assert.ok((error.line ?? 0) >= 1 && (error.column ?? 0) >= 1);
    }),
  );
});

test('no text makes it throw, and each error is one line with a place', () => {
  const pieces = fc.constantFrom(
    'a',
    ':',
    ' ',
    '\n',
    '- ',
    '{',
    '}',
    '[',
    ']',
    '&a',
    '*a',
    '!x',
    '"',
    "'",
    '<<',
    '?',
    '|',
    '${{',
    '}}',
    '\t',
    '0',
    ',',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), fc.boolean(), (parts, json) => {
      const { errors } = parseText(json ? 'x.json' : 'x.yaml', parts.join(''), { environment: {} });
      for (const error of errors) assert.match(formatError(error), /^x\.(?:json|yaml):\d+:\d+: .+$/);
    }),
    { numRuns: 300 },
  );
});
