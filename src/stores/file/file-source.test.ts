import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { formatError } from './file-error.ts';
import { FileSource, type FileSourceOptions } from './file-source.ts';
import type { ConfigFile } from './parse.ts';

// A FileSource doesn't keep the process alive; a test that waits for one must.
const alive = setInterval(() => {}, 1000);
after(() => clearInterval(alive));

let folder: string;
let sources: FileSource[];
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'sluice-file-'));
  sources = [];
});
afterEach(() => {
  for (const source of sources) source.close();
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** YAML with one Route for each id. */
function routes(...ids: string[]): string {
  return `routes:\n${ids.map((id) => `  - { id: ${id}, uri: /${id} }\n`).join('')}`;
}

function idsOf(content: ConfigFile): string[] {
  return content.resources.map(({ id }) => id);
}

async function load(file: string, options?: FileSourceOptions): Promise<FileSource> {
  const source = await FileSource.load(file, options);
  sources.push(source);
  return source;
}

/** Watches a file, and hands out what the listener is told. */
async function watching(file: string, options?: FileSourceOptions) {
  const source = await load(file, options);
  const told: ConfigFile[] = [];
  let wake = () => {};
  source.watch((content) => {
    told.push(content);
    wake();
  });
  // The first look, which every watch begins with, is over.
  await delay(80);
  const next = async (): Promise<ConfigFile> => {
    while (told.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return told.shift()!;
  };
  return { source, told, next };
}

describe('a file', () => {
  test('is loaded', async () => {
    const { content } = await load(write('sluice.yaml', routes('a', 'b')));
    assert.deepEqual(content.errors, []);
    assert.deepEqual(idsOf(content), ['a', 'b']);
  });

  test('that is absent is an error with its name', async () => {
    const file = path.join(folder, 'none.yaml');
    const { content } = await load(file);
    assert.equal(content.errors.length, 1);
    assert.match(formatError(content.errors[0]), /^\/.*none\.yaml: the file can't be read: ENOENT/);
  });

  test('is told of when it is written in place', async () => {
    const file = write('sluice.yaml', routes('a'));
    const { source, next } = await watching(file);
    writeFileSync(file, routes('a', 'b'));
    const content = await next();
    assert.deepEqual(idsOf(content), ['a', 'b']);
    assert.equal(source.content, content);
  });

  test('is told of when another takes its place, as editors do', async () => {
    const file = write('sluice.yaml', routes('a'));
    const { next } = await watching(file);
    renameSync(write('sluice.yaml~', routes('bb')), file);
    assert.deepEqual(idsOf(await next()), ['bb']);
    // And once more, as the first file's watch would be lost now.
    renameSync(write('sluice.yaml~', routes('ccc')), file);
    assert.deepEqual(idsOf(await next()), ['ccc']);
  });

  test('is told of when a link on the way is swapped, as ConfigMaps do', async () => {
    for (const version of ['one', 'two']) {
      mkdirSync(path.join(folder, `..${version}`));
      write(`..${version}/sluice.yaml`, routes(version));
    }
    symlinkSync('..one', path.join(folder, '..data'));
    const file = path.join(folder, 'sluice.yaml');
    symlinkSync(path.join('..data', 'sluice.yaml'), file);
    const { source, next } = await watching(file);
    assert.deepEqual(idsOf(source.content), ['one']);
    symlinkSync('..two', path.join(folder, '..data_tmp'));
    renameSync(path.join(folder, '..data_tmp'), path.join(folder, '..data'));
    assert.deepEqual(idsOf(await next()), ['two']);
  });

  test('is told of where the file behind a link is written', async () => {
    mkdirSync(path.join(folder, 'elsewhere'));
    const target = write('elsewhere/real.yaml', routes('a'));
    const file = path.join(folder, 'sluice.yaml');
    symlinkSync(target, file);
    const { next } = await watching(file);
    writeFileSync(target, routes('a', 'b'));
    assert.deepEqual(idsOf(await next()), ['a', 'b']);
  });

  test('is not told of when it is touched, or says the same in other words', async () => {
    const file = write('sluice.yaml', routes('a'));
    const { source, told, next } = await watching(file);
    utimesSync(file, new Date(), new Date());
    writeFileSync(file, `# The same.\n${routes('a')}`);
    await delay(100);
    assert.deepEqual(told, []);
    writeFileSync(file, routes('b'));
    assert.deepEqual(idsOf(await next()), ['b']);
    assert.deepEqual(source.content.positionOf(['routes', 0]), { line: 2, column: 5 });
  });

  test('is read again when it is wrong, then told of as it is', async () => {
    const file = write('sluice.yaml', routes('a'));
    const { next } = await watching(file);
    writeFileSync(file, 'routes: [');
    const wrong = await next();
    assert.match(formatError(wrong.errors[0]), /sluice\.yaml:1:\d+: /);
    rmSync(file);
    assert.match((await next()).errors[0].message, /ENOENT/);
    writeFileSync(file, routes('a'));
    assert.deepEqual(idsOf(await next()), ['a']);
  });

  test('is never told of half written', async () => {
    const file = write('sluice.yaml', routes('a'));
    const { told, next } = await watching(file);
    for (let round = 0; round < 5; round++) {
      writeFileSync(file, '');
      writeFileSync(file, 'routes: [{ id: ');
      await delay(5);
      writeFileSync(file, routes(`b${round}`, 'c'));
      assert.deepEqual(idsOf(await next()), [`b${round}`, 'c']);
    }
    assert.deepEqual(told, []);
  });

  test('is found changed by looking where the system does not tell', async () => {
    const place = path.join(folder, 'place');
    mkdirSync(place);
    const { next } = await watching(write('place/sluice.yaml', routes('a')), { pollInterval: 10 });
    // The watch stays with the old folder.
    renameSync(place, path.join(folder, 'old'));
    assert.match((await next()).errors[0].message, /ENOENT/);
    mkdirSync(place);
    write('place/sluice.yaml', routes('a', 'b'));
    assert.deepEqual(idsOf(await next()), ['a', 'b']);
  });

  test('is read anew on demand, told of in any case', async () => {
    const file = write('sluice.json', '{ "routes": [{ "id": "${' + '{SLUICE_TEST}}" }] }');
    const environment = { SLUICE_TEST: 'a' };
    const { source, next, told } = await watching(file, { environment });
    environment.SLUICE_TEST = 'b';
    const [first, second] = await Promise.all([source.reload(), source.reload()]);
    assert.deepEqual(idsOf(first), ['b']);
    assert.deepEqual(idsOf(second), ['b']);
    assert.equal(await next(), first);
    assert.equal(await next(), second);
    assert.deepEqual(told, []);
  });

  test('is not told of after closing', async () => {
    const file = write('sluice.yaml', routes('a'));
    const { source, told } = await watching(file);
    writeFileSync(file, routes('b'));
    source.close();
    await delay(100);
    assert.deepEqual(told, []);
  });
});

describe('a module', () => {
  test('is loaded, whatever it imports', async () => {
    write('routes.ts', `export const uri: string = '/a';`);
    const file = write(
      'sluice.config.ts',
      `import { defineConfig } from 'sluice';
       import { uri } from './routes.ts';
       export default defineConfig({ workers: 2, routes: [{ id: 'a', uri, upstream: { nodes: {} } }] });`,
    );
    const { content } = await load(file);
    assert.deepEqual(content.errors, []);
    assert.equal(content.settings.workers, 2);
    assert.deepEqual(content.resources[0].value, { id: 'a', uri: '/a', upstream: { nodes: {} } });
  });

  test('may be JavaScript of either kind', async () => {
    const modern = await load(write('a.mjs', `export default { routes: [{ id: 'a' }] };`));
    assert.deepEqual(idsOf(modern.content), ['a']);
    const common = await load(write('b.cjs', `module.exports = { routes: [{ id: 'b' }] };`));
    assert.deepEqual(idsOf(common.content), ['b']);
  });

  test('is told of when it or an import of an import is changed', async () => {
    write('deep.ts', `export const id: string = 'a';`);
    write('middle.ts', `export { id } from './deep.ts';`);
    const file = write(
      'sluice.ts',
      `import { id } from './middle.ts';\nexport default { routes: [{ id }] };`,
    );
    const { source, next } = await watching(file);
    assert.deepEqual(idsOf(source.content), ['a']);
    write('deep.ts', `export const id: string = 'other';`);
    assert.deepEqual(idsOf(await next()), ['other']);
    write('sluice.ts', `export default { routes: [{ id: 'alone' }] };`);
    assert.deepEqual(idsOf(await next()), ['alone']);
  });

  test('that throws is an error, and is told of when the import at fault is mended', async () => {
    write('part.ts', `throw new Error('not today');`);
    const file = write('sluice.ts', `import './part.ts';\nexport default { routes: [{ id: 'a' }] };`);
    const { source, next } = await watching(file);
    assert.match(
      formatError(source.content.errors[0]),
      /sluice\.ts: the module can't be loaded: not today \(.*part\.ts:1\)$/,
    );
    write('part.ts', `export const fine = true;`);
    assert.deepEqual(idsOf(await next()), ['a']);
  });

  const refusals: Readonly<Record<string, readonly [text: string, error: RegExp]>> = {
    'that throws': [
      `export const a = 1;\n  throw new Error('no');`,
      /sluice\.ts:2:\d+: the module can't be loaded: no$/,
    ],
    'that throws no Error': [`throw 'text';`, /can't be loaded: text$/],
    'with a syntax error': [
      'export default {\n  routes: [,,\n};',
      /sluice\.ts(:\d+:\d+)?: the module can't be loaded: /,
    ],
    'that imports what is not there': [`import './none.ts';\nexport default {};`, /Cannot find module/],
    'without a default export': ['export const config = {};', /no default export/],
    'that exports functions': [
      `export default { routes: [{ id: 'a', run() {} }] };`,
      /sluice\.ts: routes\[0\]\.run: a function can't be in a configuration$/,
    ],
    'that ends its process': ['process.exit(0);', /it ended before it exported anything$/],
    'that waits for what never comes': [
      'await new Promise(() => {});\nexport default {};',
      /it ended before it exported anything$/,
    ],
  };
  for (const [name, [text, error]] of Object.entries(refusals)) {
    test(`${name} is refused`, async () => {
      const { content } = await load(write('sluice.ts', text));
      assert.equal(content.errors.length, 1);
      assert.match(formatError(content.errors[0]), error);
      assert.deepEqual(content.resources, []);
    });
  }

  test('that leaves timers running does not keep them', async () => {
    const file = write('sluice.ts', `setInterval(() => {}, 10);\nexport default { routes: [{ id: 'a' }] };`);
    const source = await load(file);
    assert.deepEqual(idsOf(source.content), ['a']);
  });
});
