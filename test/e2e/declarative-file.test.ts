import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { place, startWithFile } from '../support/config-file.ts';
import { eventually } from '../support/eventually.ts';
import { call, inParallel } from '../support/http-call.ts';
import { root, runSluice, SluiceProcess, temporaryFolder } from '../support/process.ts';

/** A file whose Route answers by itself. */
const answering = (example: string, more = ''): string => `${more}
routes:
  - id: hello
    uri: /hello
    plugins:
      mocking: { response_example: ${example} }
`;

const WRONG = `routes:
  - id: first
    uri: /first
    plugins: { mocking: { response_example: fine } }
  - id: second
    uri: /second
    plugins:
      limit-count: { count: 0, time_window: 60 }
`;

test('follows changes of the file, and SIGHUP', async (t) => {
  const { sluice, write, file, logged } = await startWithFile(t, answering('one'), { workers: 2 });
  assert.equal((await sluice.call('/hello')).body, 'one');
  write(answering('two'));
  await eventually('the new text is served', async () => (await sluice.call('/hello')).body === 'two');
  const bodies = await inParallel(16, 16, async () => (await sluice.call('/hello')).body);
  assert.deepEqual([...new Set(bodies)], ['two'], 'every worker has it');

  const lines = sluice.log.length;
  sluice.signal('SIGHUP');
  writeFileSync(file, answering('three'));
  sluice.signal('SIGHUP');
  await logged('reloaded', lines);
  assert.equal((await sluice.call('/hello')).body, 'three');
});

test('a bad file is refused whole at reload, with file, line, path and reason, and the old one serves', async (t) => {
  const { sluice, write, file, logged } = await startWithFile(t, answering('one'));
  write(WRONG);
  await logged('refused');
  const { level, message } = sluice.log.find((line) => line.message.includes('refused'))!;
  assert.equal(level, 'error');
  assert.ok(message.includes(`${file}:8:`), message);
  assert.ok(message.includes('routes[1].plugins.limit-count'), message);
  assert.match(message, /count/);
  assert.equal((await sluice.call('/hello')).body, 'one');
  assert.equal((await sluice.call('/first')).status, 404, 'nothing of it is taken');
  let lines = sluice.log.length;
  write('routes: [ {');
  await logged('refused', lines);
  assert.equal((await sluice.call('/hello')).body, 'one');
  lines = sluice.log.length;
  write(answering('two'));
  await logged('reloaded', lines);
  assert.equal((await sluice.call('/hello')).body, 'two', 'a good one is taken again');
});

test('a bad file is refused at start with file, line, path and reason, and status 1', async (t) => {
  const folder = temporaryFolder(t);
  const cases: readonly (readonly [name: string, text: string, wanted: readonly string[]])[] = [
    ['limit.yaml', WRONG, [':8:', 'routes[1].plugins.limit-count', 'count']],
    ['syntax.yaml', 'routes:\n  - id: "x\n', [':', 'quote']],
    ['syntax.json', '{"routes": [\n{"id": "x",}]}', [':2:']],
    ['unknown.yaml', 'routes:\n  - id: x\n    uri: /x\n    plugins: { nonsense: {} }\n', [':4:', 'nonsense']],
    [
      'dangling.yaml',
      'routes:\n  - id: x\n    uri: /x\n    upstream_id: none\n',
      [':4:', 'upstream_id', 'none'],
    ],
    ['listener.yaml', 'listeners:\n  - address: nowhere:http\n', [':2:', 'listeners[0].address']],
    ['field.yaml', 'listners: []\n', [':1:', 'listners']],
    ['plugin.yaml', 'plugins: [./none.ts]\n', [':1:', 'plugins[0]', 'none.ts']],
    ['admin.yaml', 'admin: { enabled: true }\n', [':1:', 'the Admin API wants keys']],
    ['thrown.ts', 'throw new Error("on purpose");\n', [':1:', 'on purpose']],
  ];
  for (const [name, text, wanted] of cases) {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    for (const args of [
      ['start', '--config', file],
      ['check', file],
    ]) {
      const { code, stderr, stdout } = await runSluice(t, args, { env: { SLUICE_ADMIN_KEY: '' } });
      assert.equal(code, 1, `${args}: ${stderr}`);
      assert.ok(stderr.includes(name), stderr);
      for (const part of wanted) assert.ok(stderr.includes(part), `${name}: ${part} is missing in ${stderr}`);
      assert.equal(stdout, '');
    }
  }
});

test('check names the words that would do where a wrong one stands', async (t) => {
  const file = path.join(temporaryFolder(t), 'sluice.yaml');
  writeFileSync(
    file,
    'routes:\n  - id: orders\n    uri: /orders\n    upstream:\n      type: round_robin\n      nodes: { "127.0.0.1:8080": 1 }\n',
  );
  const { code, stderr } = await runSluice(t, ['check', file]);
  assert.equal(code, 1);
  assert.match(stderr, /sluice\.yaml:5:7: routes\[0\]\.upstream\.type: .*use one of "roundrobin", "chash"/);
  writeFileSync(file, 'routes:\n  - { id: orders, uri: /orders, plugins: { limit-cout: {} } }\n');
  const guessed = await runSluice(t, ['check', file]);
  assert.match(guessed.stderr, /unknown plugin \[limit-cout\], did you mean limit-count\?/);
});

test('check says that a good file is fine and starts nothing', async (t) => {
  const file = path.join(temporaryFolder(t), 'good.yaml');
  writeFileSync(file, answering('one'));
  const { code, stdout, stderr } = await runSluice(t, ['check', file]);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /is fine: 1 resource\./);
});

test('takes JSON, and TypeScript with defineConfig', async (t) => {
  const json = await startWithFile(
    t,
    JSON.stringify({ routes: [{ id: 'a', uri: '/a', plugins: { mocking: { response_example: 'json' } } }] }),
    { name: 'sluice.json' },
  );
  assert.equal((await json.sluice.call('/a')).body, 'json');
  await json.sluice.kill();

  const text = (example: string) => `import { defineConfig } from 'sluice';
import { uri } from './uri.ts';
export default defineConfig({
  routes: [{ id: 'a', uri, plugins: { mocking: { response_example: '${example}' } } }],
});
`;
  const { sluice, write, folder } = await startWithFile(t, text('typed'), {
    name: 'sluice.config.ts',
    files: { 'uri.ts': "export const uri: string = '/typed';\n" },
  });
  assert.equal((await sluice.call('/typed')).body, 'typed');
  write(text('changed'));
  await eventually('the change is served', async () => (await sluice.call('/typed')).body === 'changed');
  place(path.join(folder, 'uri.ts'), "export const uri: string = '/other';\n");
  await eventually(
    'a change of what it imports, too',
    async () => (await sluice.call('/other')).status === 200,
  );
  assert.equal((await sluice.call('/typed')).status, 404);
});

test('listens where the file says, on several addresses', async (t) => {
  const more = 'listeners: [{ address: 127.0.0.1:0 }, { address: "127.0.0.1:0" }]\nworkers: 1';
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'sluice.yaml');
  writeFileSync(file, answering('one', more));
  const sluice = await SluiceProcess.start(t, { args: ['start', '--config', file], keepListeners: true });
  const [, first, second] = /traffic +(\S+), (\S+) /.exec(sluice.stderr) ?? [];
  assert.notEqual(first, second);
  for (const origin of [first, second]) assert.equal((await call(`${origin}/hello`)).body, 'one');
});

test('the Admin API of a file reads, and says where to change', async (t) => {
  const { sluice, file } = await startWithFile(
    t,
    answering('one', 'admin: { enabled: true, keys: [{ name: ops, key: e2e-admin-key, role: admin }] }'),
  );
  assert.equal((await sluice.admin('GET', 'routes/hello')).json().value.uri, '/hello');
  assert.equal((await sluice.admin('GET', 'routes/hello/effective')).status, 200);
  for (const [method, what, body] of [
    ['PUT', 'routes/new', { uri: '/new', plugins: { mocking: { response_example: 'new' } } }],
    ['PATCH', 'routes/hello', { uri: '/changed' }],
    ['DELETE', 'routes/hello', undefined],
    ['PUT', 'consumers', { username: 'jack' }],
  ] as const) {
    const answer = await sluice.admin(method, what, body);
    assert.equal(answer.status, 405, `${method} ${what}: ${answer.body}`);
    assert.ok(answer.body.includes(path.basename(file)), answer.body);
  }
  assert.equal((await sluice.call('/hello')).body, 'one');
  assert.equal((await sluice.call('/new')).status, 404);
  assert.equal((await sluice.admin('GET', 'routes')).json().total, 1);
});

test('the example of the repository can be served', async (t) => {
  const { code, stdout } = await runSluice(t, ['check', path.join(root, 'examples/own-plugin/sluice.yaml')]);
  assert.equal(code, 0);
  assert.match(stdout, /is fine/);
});
