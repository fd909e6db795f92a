// `npm run docs`: writes docs/reference/, schema/sluice.schema.json and src/config-shapes.ts from the schemas in src/.
// With --check it writes nothing and fails where the files differ from what it would write.
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { configShapes } from './docs/config-shapes.ts';
import { fileSchema } from './docs/file-schema.ts';
import { pagesOf } from './docs/pages.ts';
import { readSources } from './docs/sources.ts';
import { root } from './step.ts';

const REFERENCE = 'docs/reference';
const SCHEMA = 'schema/sluice.schema.json';
const SHAPES = 'src/config-shapes.ts';

const sources = await readSources();
const wanted = new Map<string, string>();
for (const [file, text] of pagesOf(sources)) wanted.set(`${REFERENCE}/${file}`, text);
wanted.set(SCHEMA, `${JSON.stringify(fileSchema(sources), null, 2)}\n`);
wanted.set(SHAPES, configShapes(sources));

if (process.argv.includes('--check')) {
  const present = new Set([...globSync(`${REFERENCE}/**/*.md`, { cwd: root }), SCHEMA, SHAPES]);
  const problems: string[] = [];
  for (const [file, text] of wanted) {
    const place = path.join(root, file);
    if (!existsSync(place)) problems.push(`${file} is missing`);
    else if (readFileSync(place, 'utf8') !== text) problems.push(`${file} differs from what src/ says`);
    present.delete(file);
  }
  for (const file of present) problems.push(`${file} is about something that src/ no longer has`);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) {
    console.error('Run `npm run docs` and commit what changes.');
    process.exitCode = 1;
  }
} else {
  rmSync(path.join(root, REFERENCE), { recursive: true, force: true });
  for (const [file, text] of wanted) {
    const place = path.join(root, file);
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, text);
  }
  console.log(`${wanted.size} files written`);
}
