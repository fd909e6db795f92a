// What users get from `npm pack`: installed into an empty project, away from this checkout.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

const root = path.join(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-package-'));
const project = path.join(folder, 'project');
const description = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}
let packed: Packed;

function run(command: string, args: readonly string[], cwd: string, environment = {}) {
  const result = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
    env: { ...process.env, npm_config_fund: 'false', npm_config_audit: 'false', ...environment },
  });
  return { status: result.status, stdout: result.stdout, output: `${result.stdout}${result.stderr}` };
}

/** Bytes of all files below a folder; links are not followed. */
function sizeOf(place: string): number {
  const stat = lstatSync(place);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(place).reduce((sum, name) => sum + sizeOf(path.join(place, name)), 0);
}

before(() => {
  const pack = run('npm', ['pack', '--json', '--pack-destination', folder], root);
  assert.equal(pack.status, 0, pack.output);
  // The build may print lines of its own before the report, whose first level is an array or, with
  // newer npm, an object by package name.
  const report = JSON.parse(pack.stdout.slice(pack.stdout.search(/^[[{]/m)));
  packed = Object.values<Packed>(report)[0];
  mkdirSync(project);
  writeFileSync(
    path.join(project, 'package.json'),
    '{ "name": "empty", "private": true, "type": "module" }\n',
  );
  const install = run('npm', ['install', '--prefer-offline', path.join(folder, packed.filename)], project);
  assert.equal(install.status, 0, install.output);
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('the package holds what users need, and no sources or tests', () => {
  const files = packed.files.map((file) => file.path);
  for (const file of ['dist/main.js', 'dist/index.js', 'dist/index.d.ts', 'dist/schema.json', 'LICENSE']) {
    assert.ok(files.includes(file), `${file} is missing`);
  }
  const surplus = files.filter(
    (file) =>
      !/^(dist\/.*|README\.md|CHANGELOG\.md|LICENSE|package\.json)$/.test(file) || /\.test\./.test(file),
  );
  assert.deepEqual(surplus, []);
  const sources = files.filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'));
  assert.deepEqual(sources, []);
});

test('installs what the lock file says its dependencies need and nothing else, in less than 40 MB', () => {
  const modules = path.join(project, 'node_modules');
  const installed = readdirSync(modules)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(path.join(modules, name)).map((inner) => `${name}/${inner}`) : name,
    );
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>;
  };
  const runtime = Object.entries(packages)
    .filter(([place, { dev }]) => place.startsWith('node_modules/') && dev !== true)
    .map(([place]) => place.slice('node_modules/'.length));
  assert.ok(Object.keys(description.dependencies).every((name) => runtime.includes(name)));
  assert.deepEqual(installed.sort(), ['sluice', ...runtime].sort());
  const megabytes = sizeOf(modules) / 1e6;
  assert.ok(megabytes < 40, `${megabytes.toFixed(1)} MB`);
});

test('runs as npx sluice', () => {
  const { status, stdout, output } = run('npx', ['--no-install', 'sluice', '--version'], project);
  assert.equal(status, 0, output);
  assert.ok(stdout.includes(description.version), output);
});

test('is imported by its name, with the schema for editors beside it', () => {
  const code = `
    import { definePlugin, Type } from 'sluice';
    import schema from 'sluice/schema.json' with { type: 'json' };
    console.log(typeof definePlugin, typeof Type.Object, typeof schema);`;
  const { stdout, output } = run('node', ['--input-type=module', '--eval', code], project);
  assert.equal(stdout.trim(), 'function function object', output);
});

test('its type declarations resolve and give a plugin its types', () => {
  writeFileSync(
    path.join(project, 'plugin.ts'),
    `import { definePlugin, reply, Type } from 'sluice';
     export const mine = definePlugin({
       name: 'mine', summary: 'Says no.', priority: 1,
       config: Type.Object({ count: Type.Integer({ minimum: 1 }) }),
       create(config) {
         const count: number = config.count;
         // @ts-expect-error the config has no such property
         config.cuont;
         return { access: () => reply(429, { count }) };
       },
     });\n`,
  );
  const typescript = path.join(root, 'node_modules/.bin/tsc');
  const types = ['--typeRoots', path.join(root, 'node_modules/@types'), '--types', 'node'];
  const options = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2024',
    '--skipLibCheck',
    'false',
  ];
  const { status, output } = run(typescript, [...options, ...types, 'plugin.ts'], project);
  assert.equal(status, 0, output);
});

test('runs on the oldest Node that it promises to support', (t) => {
  const oldest = description.engines.node.replace('>=', '');
  const npx = ['--yes', '--prefer-offline', '-p', `node@${oldest}`, 'node'];
  // Away from the checkout: npx would prefer a Node that lies around there.
  const found = run('npx', [...npx, '--version'], folder);
  if (found.status !== 0 || !found.stdout.startsWith(`v${oldest}.`)) {
    t.skip(`Node ${oldest} can't be had here`);
    return;
  }
  const main = path.join(project, 'node_modules/sluice/dist/main.js');
  const { status, output } = run('npx', [...npx, main, '--version'], folder);
  assert.equal(status, 0, output);
});
