import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { build } from 'esbuild';
import { Locations } from './locations.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'locations-'));
after(() => rmSync(folder, { recursive: true }));
const source = path.join(folder, 'src');
mkdirSync(path.join(source, 'proxy'), { recursive: true });

/** Builds src/proxy/start.ts with this text and returns what became of it. */
async function bundle(text: string): Promise<{ code: string; locations: Locations }> {
  const file = path.join(source, 'proxy/start.ts');
  writeFileSync(file, text);
  const locations = new Locations(source);
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    plugins: [locations.plugin()],
    logLevel: 'silent',
  });
  return { code: outputFiles[0].text, locations };
}

test('makes a file that is started by its location an entry, flat and with its folder in the name', async () => {
  const { code, locations } = await bundle("export const u = new URL('./worker.ts', import.meta.url);");
  assert.match(code, /new URL\("\.\/proxy-worker\.js", import\.meta\.url\)/);
  assert.deepEqual([...locations.entries], [['proxy-worker', path.join(source, 'proxy/worker.ts')]]);
});

test('names a file outside of src from dist', async () => {
  const { code, locations } = await bundle(
    "export const u = new URL('../../package.json', import.meta.url);",
  );
  assert.match(code, /new URL\("\.\.\/package\.json", import\.meta\.url\)/);
  assert.equal(locations.entries.size, 0);
});

test('copies another file of src', async () => {
  writeFileSync(path.join(source, 'proxy/page.html'), 'hello');
  const { code, locations } = await bundle("export const u = new URL('./page.html', import.meta.url);");
  assert.match(code, /new URL\("\.\/proxy-page\.html", import\.meta\.url\)/);
  locations.copyAssets(folder);
  assert.equal(readFileSync(path.join(folder, 'proxy-page.html'), 'utf8'), 'hello');
  assert.equal(existsSync(path.join(folder, 'page.html')), false);
});

test('leaves a look-up of a package alone', async () => {
  const { code } = await bundle(
    "import { createRequire } from 'node:module'; export const yaml = createRequire(import.meta.url)('yaml');",
  );
  assert.match(code, /createRequire\(import\.meta\.url\)/);
});

for (const expression of ['import.meta.dirname', 'import.meta.url', 'new URL(name, import.meta.url)']) {
  test(`refuses ${expression}, which bundling would make untrue`, async () => {
    await assert.rejects(
      bundle(`const name = 'x'; export const u = [name, ${expression}];`),
      /another place/,
    );
  });
}
