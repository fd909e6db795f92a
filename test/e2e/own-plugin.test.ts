import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { place, startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { inParallel, tally } from '../support/http-call.ts';
import { root, runSluice, temporaryFolder } from '../support/process.ts';

const example = readFileSync(path.join(root, 'examples/own-plugin/office-hours.ts'), 'utf8');

/** A Plugin that sets a field to a text. */
const marking = (text: string): string => `import { definePlugin, Type } from 'sluice';
export const mark = definePlugin({
  name: 'mark',
  summary: 'Marks answers.',
  priority: 1,
  config: Type.Object({ more: Type.String({ default: '!', description: 'What follows.' }) }),
  create({ more }) {
    return { responseHeaders: (exchange) => exchange.response.setHeader('X-Mark', '${text}' + more) };
  },
});
`;

const MARKED = `
plugins: [./mark.ts]
routes:
  - id: marked
    uri: /marked
    plugins: { mark: {}, mocking: { response_example: hello } }
`;

test('the example works as it stands in the repository', async (t) => {
  const upstream = await startEcho(t);
  const hours = (from: number, to: number) => `
plugins: [./office-hours.ts]
routes:
  - id: open
    uri: /open
    plugins: { office-hours: { from: 0, to: 24 } }
    upstream: { nodes: { '${upstream.address}': 1 } }
  - id: closed
    uri: /closed
    plugins: { office-hours: { from: ${from}, to: ${to} } }
    upstream: { nodes: { '${upstream.address}': 1 } }
`;
  const later = (new Date().getUTCHours() + 12) % 23;
  const { sluice } = await startWithFile(t, hours(later, later + 1), {
    files: { 'office-hours.ts': example },
  });
  assert.equal((await sluice.call('/open')).status, 200);
  const closed = await sluice.call('/closed');
  assert.deepEqual([closed.status, closed.json()], [503, { message: 'We are closed.' }]);
});

test('what an own plugin checks is checked', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(path.join(folder, 'office-hours.ts'), example);
  const file = path.join(folder, 'sluice.yaml');
  for (const [hours, reason] of [
    ['{ from: 9, to: 9 }', 'from must be before to'],
    ['{ from: nine }', 'wrong type'],
  ]) {
    writeFileSync(
      file,
      `plugins: [./office-hours.ts]\nroutes: [{ id: a, uri: /, plugins: { office-hours: ${hours} } }]\n`,
    );
    const { code, stderr } = await runSluice(t, ['check', file]);
    assert.equal(code, 1);
    assert.ok(stderr.includes(`${file}:2:`) && stderr.includes(reason), stderr);
  }
});

test('a changed plugin file is loaded anew on every worker', async (t) => {
  const { sluice, folder } = await startWithFile(t, MARKED, {
    files: { 'mark.ts': marking('one') },
    workers: 2,
  });
  const marks = async () =>
    tally(await inParallel(16, 16, async () => String((await sluice.call('/marked')).headers['x-mark'])));
  assert.deepEqual(await marks(), { 'one!': 16 });
  place(path.join(folder, 'mark.ts'), marking('two'));
  await eventually('all workers have the new one', async () => (await marks())['two!'] === 16);
});

test('a broken new version is refused and the old one stays, also on a worker that is replaced', async (t) => {
  const crash = `import { definePlugin, Type } from 'sluice';
export const crash = definePlugin({
  name: 'crash', summary: 'Ends the worker.', priority: 1, config: Type.Object({}),
  create: () => ({ access() { process.exit(7); } }),
});
`;
  const { sluice, folder, logged } = await startWithFile(
    t,
    `${MARKED.replace('[./mark.ts]', '[./mark.ts, ./crash.ts]')}
  - id: crash
    uri: /crash
    plugins: { crash: {} }
`,
    { files: { 'mark.ts': marking('one'), 'crash.ts': crash }, workers: 1 },
  );
  assert.equal((await sluice.call('/marked')).headers['x-mark'], 'one!');
  for (const [broken, reason] of [
    ['this is no TypeScript', "can't be loaded"],
    ['export const nothing = 1;', 'exports no plugin'],
    [marking('two').replace('create(', "check: () => 'fits nowhere', create("), 'fits nowhere'],
  ] as const) {
    const lines = sluice.log.length;
    place(path.join(folder, 'mark.ts'), broken);
    await logged('the old one stays', lines);
    assert.ok(sluice.stderr.includes(reason), sluice.stderr);
    assert.equal((await sluice.call('/marked')).headers['x-mark'], 'one!');
  }
  await assert.rejects(sluice.call('/crash'));
  const answer = await eventually('a new worker serves', () => sluice.call('/marked'));
  assert.equal(answer.headers['x-mark'], 'one!');
});

test('a plugin that throws fails its own Route with 500, in whichever phase and at creation', async (t) => {
  const throwing = `import { definePlugin, Type } from 'sluice';
const phases = ['create', 'rewrite', 'access', 'late', 'beforeProxy', 'responseHeaders'];
export const throwing = phases.map((phase) => definePlugin({
  name: 'throws-in-' + phase, summary: 'Throws.', priority: 1, config: Type.Object({}),
  create() {
    if (phase === 'create') throw new Error('thrown in create');
    if (phase === 'late') {
      return { async access() { await new Promise(setImmediate); throw new Error('thrown in late'); } };
    }
    return { [phase]() { throw new Error('thrown in ' + phase); } };
  },
}));
`;
  const upstream = await startEcho(t);
  const phases = ['create', 'rewrite', 'access', 'late', 'beforeProxy', 'responseHeaders'];
  const nodes = `upstream: { nodes: { '${upstream.address}': 1 } }`;
  const routes = phases.map(
    (phase) => `  - { id: ${phase}, uri: /${phase}, plugins: { throws-in-${phase}: {} }, ${nodes} }`,
  );
  const { sluice } = await startWithFile(
    t,
    `plugins: [./throwing.ts]\nroutes:\n${routes.join('\n')}\n  - { id: sound, uri: /sound, ${nodes} }\n`,
    { files: { 'throwing.ts': throwing } },
  );
  for (const phase of phases) {
    const answer = await sluice.call(`/${phase}`);
    assert.equal(answer.status, 500, phase);
    assert.ok(!answer.body.includes('thrown'), 'the reason stays inside');
    await eventually('the reason is logged', () => sluice.stderr.includes(`thrown in ${phase}`));
    assert.equal((await sluice.call('/sound')).status, 200);
  }
});

test('an unknown plugin, or one with the name of another, refuses the configuration', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'sluice.yaml');
  writeFileSync(path.join(folder, 'mark.ts'), marking('one'));
  writeFileSync(path.join(folder, 'cors.ts'), marking('one').replace("'mark'", "'cors'"));
  for (const [text, line, reason] of [
    [MARKED.replace('./mark.ts', './cors.ts').replace('mark: {}, ', ''), 2, 'plugin cors exists already'],
    [MARKED.replace('plugins: [./mark.ts]', ''), 6, 'unknown plugin [mark]'],
  ] as const) {
    writeFileSync(file, text);
    const { code, stderr } = await runSluice(t, ['start', '--config', file]);
    assert.equal(code, 1);
    assert.ok(stderr.includes(`${file}:${line}:`) && stderr.includes(reason), stderr);
  }
});
