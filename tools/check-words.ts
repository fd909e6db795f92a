// Checks that docs and names in src/ use the words of DESIGN, and not the synonyms decided against.
//
// Two words for one thing make a reader look for two things. The table below is the rule: what is
// refused, where, and what to say instead. Of pages only the prose is read, no code; of sources only
// names, no texts (which often speak APISIX's language on the wire) and no comments.
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

interface Rule {
  /** Sees prose, or one name in pieces: `pickedNode` as `picked node`. */
  readonly refused: RegExp;
  readonly instead: string;
  readonly where: 'prose' | 'names' | 'both';
  /** Files, by the end of their path, where the word means something else. */
  readonly allowed?: readonly string[];
}

const RULES: readonly Rule[] = [
  {
    refused: /\bback-?ends?\b/i,
    instead: 'Upstream, Target or Store',
    where: 'both',
  },
  {
    refused: /\b(?:upstream|healthy|unhealthy|backup|weighted) (?:nodes?|servers?)\b/i,
    instead: 'Target',
    where: 'both',
  },
  {
    // `nodes` is the field of an Upstream, as APISIX has it; its entries are Targets.
    refused: /\bnode\b(?! JS\b)/i,
    instead: 'Target',
    where: 'names',
    // A tree's nodes; APISIX's schema and labels; Consul's answers; the program Node.
    allowed: [
      'lib/path-tree.ts',
      'geo/geo-database.ts',
      'geo/mmdb-writer.fixture.ts',
      'stores/file/yaml-text.ts',
      'discovery/consul.ts',
      'telemetry/metrics.ts',
    ],
  },
  { refused: /\bmiddlewares?\b/i, instead: 'Plugin', where: 'both' },
  { refused: /\bapi[- ]?key consumers?\b|\bapi consumers?\b/i, instead: 'Consumer', where: 'both' },
  { refused: /\b(?:virtual|v) ?hosts?\b/i, instead: 'host', where: 'both' },
  { refused: /\bcfg\b|\bctx\b/i, instead: 'the whole word', where: 'names' },
];

export interface Findings {
  readonly problems: readonly string[];
  readonly pages: number;
  readonly sources: number;
  readonly words: number;
}

/** Checks pages (`.md`) and sources (`.ts`), given as text by path with forward slashes. */
export function checkWords(files: ReadonlyMap<string, string>): Findings {
  const problems: string[] = [];
  let pages = 0;
  let words = 0;
  for (const [file, text] of files) {
    const isPage = file.endsWith('.md');
    if (isPage) pages++;
    const rules = RULES.filter(
      ({ where, allowed = [] }) =>
        (where === 'both' || where === (isPage ? 'prose' : 'names')) &&
        !allowed.some((end) => file.endsWith(end)),
    );
    const lines = (isPage ? proseOf(text) : namesOf(text)).split('\n');
    lines.forEach((line, index) => {
      words += line.split(/\s+/).filter((word) => /\w/.test(word)).length;
      for (const { refused, instead } of rules) {
        const found = refused.exec(line)?.[0];
        if (found !== undefined) problems.push(`${file}:${index + 1}: ${found}; say ${instead}`);
      }
    });
  }
  return { problems, pages, sources: files.size - pages, words };
}

/** The same lines without code, addresses and what links lead to. */
function proseOf(markdown: string): string {
  return blank(markdown, /^```[\s\S]*?^```|`[^`\n]*`|\]\([^)]*\)|https?:\S+|<!--[\s\S]*?-->/gm);
}

/** The same lines with nothing but names, each in pieces: `pickedNode` becomes `picked node`. */
function namesOf(source: string): string {
  const bare = blank(
    source,
    /^#!.*|\/\/.*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g,
  );
  // Members such as `value.node` are often fields on the wire, whose names are not ours.
  return blank(bare, /\.\w+/g).replaceAll(/[A-Za-z_$][\w$]*|[^\n]/g, (name) =>
    /^[A-Za-z_$]/.test(name)
      ? ` ${name.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2').replaceAll('_', ' ')} ;`
      : ' ',
  );
}

function blank(text: string, pattern: RegExp): string {
  return text.replaceAll(pattern, (match) => match.replaceAll(/[^\n]/g, ' '));
}

function readFiles(root: string): ReadonlyMap<string, string> {
  const names = [
    ...globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md', 'src/**/*.md'], { cwd: root }),
    ...globSync('src/**/*.ts', { cwd: root }).filter((file) => !file.endsWith('.test.ts')),
  ];
  return new Map(
    names
      .map((name) => name.replaceAll(path.sep, '/'))
      .sort()
      .map((name) => [name, readFileSync(path.join(root, name), 'utf8')]),
  );
}

if (import.meta.main) {
  const { problems, pages, sources, words } = checkWords(readFiles(path.join(import.meta.dirname, '..')));
  for (const problem of problems) console.error(`problem  ${problem}`);
  console.log(`${pages} pages, ${sources} sources, ${words} words, ${problems.length} problems`);
  // A checker that saw nothing must not say that all is well.
  if (problems.length > 0 || pages === 0 || sources === 0 || words === 0) process.exitCode = 1;
}
