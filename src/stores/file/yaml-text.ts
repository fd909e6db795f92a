import { createRequire } from 'node:module';
import type { Alias, Document, LineCounter, Node, Pair, Range, Scalar, YAMLMap, YAMLParseError } from 'yaml';
import type { Path, Position } from './file-error.ts';
import type { SourceText, TextError } from './source-text.ts';

type Yaml = typeof import('yaml');

// Loading it costs about 25 ms, which a start from JSON or TypeScript need not pay.
const require = createRequire(import.meta.url);
let loaded: Yaml | undefined;
function yaml(): Yaml {
  return (loaded ??= require('yaml') as Yaml);
}

/** References to anchors that a document may hold: more is an attack on memory ("billion laughs"). */
const MAX_ALIASES = 100;

/** Parses YAML 1.2 with merge keys (`<<`), without tags of any kind. */
export function parseYaml(text: string): SourceText {
  const tree = parseTree(text);
  const { document } = tree;
  // What follows the first error of syntax is mostly its echo.
  const found = document.errors.length > 0 ? document.errors.slice(0, 1) : document.warnings;
  const errors: TextError[] = found.map(({ code, message, pos }) => ({
    path: [],
    message: wordsOf(code, message),
    position: tree.positionAt(pos[0]),
  }));
  if (errors.length === 0) errors.push(...tree.check());
  let value: unknown;
  if (errors.length === 0) {
    try {
      value = document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      errors.push({ path: [], message, position: tree.positionAt(0) });
    }
  }
  // The tree takes many times the memory of the text, and is needed again only if there are errors.
  const kept = new WeakRef(tree);
  return {
    value,
    errors,
    positionOf: (path, rename) => (kept.deref() ?? parseTree(text)).positionOf(path, rename),
  };
}

function parseTree(text: string): YamlTree {
  const { LineCounter, parseDocument } = yaml();
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'error',
    merge: true,
    resolveKnownTags: false,
    // The library's message has neither a path nor the first of the two.
    uniqueKeys: false,
  });
  return new YamlTree(document, lines);
}

/** What the library finds wrong, where its own words are for programmers. */
function wordsOf(code: YAMLParseError['code'], message: string): string {
  switch (code) {
    case 'TAG_RESOLVE_FAILED':
      return `tags are not allowed: ${message}`;
    case 'MULTIPLE_DOCS':
      return 'the file may hold one document only; a second one begins here';
    case 'RESOURCE_EXHAUSTION':
      return 'the values are nested too deeply';
    default:
      return message;
  }
}

class YamlTree {
  readonly document: Document.Parsed;
  readonly #lines: LineCounter;

  constructor(document: Document.Parsed, lines: LineCounter) {
    this.document = document;
    this.#lines = lines;
  }

  positionAt(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  /** Duplicate keys, keys that are no texts, and references to anchors that don't exist. */
  check(): TextError[] {
    const { isAlias, isMap, isScalar, isSeq } = yaml();
    const errors: TextError[] = [];
    const report = (path: Path, message: string, node: unknown) =>
      errors.push({ path, message, position: this.#start(node) });

    const checkKey = (map: YAMLMap, key: unknown, path: Path, seen: Map<string, unknown>): string => {
      if (!isScalar(key) || key.value === null || typeof key.value === 'object') {
        report(path, 'a key must be a text', key ?? map);
        return '';
      }
      const name = nameOf(key);
      const first = seen.get(name);
      if (first !== undefined && name !== '<<') {
        const line = this.#start(first)?.line;
        report([...path, name], `duplicate key ${JSON.stringify(name)}; it is already on line ${line}`, key);
      }
      seen.set(name, first ?? key);
      return name;
    };
    const visit = (node: unknown, path: Path): void => {
      if (isAlias(node)) {
        if (node.resolve(this.document) === undefined)
          report(path, `nothing before this has the anchor &${node.source}`, node);
      } else if (isSeq(node)) {
        node.items.forEach((item, index) => {
          visit(item, [...path, index]);
        });
      } else if (isMap(node)) {
        const seen = new Map<string, unknown>();
        for (const { key, value } of node.items) visit(value, [...path, checkKey(node, key, path, seen)]);
      }
    };
    visit(this.document.contents, []);
    return errors;
  }

  /**
   * Where the value at `path` is written: its key, or itself in a list. What is not there is where
   * the innermost value is that should hold it.
   */
  positionOf(path: Path, rename: (key: string) => string): Position {
    const { isMap, isSeq } = yaml();
    let node: unknown = this.document.contents;
    let place = node;
    for (const step of path) {
      node = this.#resolve(node);
      if (isSeq(node) && typeof step === 'number') {
        node = node.items[step];
        place = node ?? place;
      } else if (isMap(node)) {
        const pair = this.#pairOf(node, String(step), rename);
        node = pair?.value;
        place = pair?.key ?? place;
      } else break;
      if (node === undefined) break;
    }
    return this.#start(place) ?? this.positionAt(0);
  }

  #pairOf(map: YAMLMap, name: string, rename: (key: string) => string): Pair | undefined {
    const { isMap, isSeq } = yaml();
    const keyOf = ({ key }: Pair) => (yaml().isScalar(key) ? rename(nameOf(key)) : undefined);
    const own = map.items.find((pair) => keyOf(pair) === name);
    if (own !== undefined) return own;
    for (const pair of map.items.filter((pair) => keyOf(pair) === '<<')) {
      const merged = this.#resolve(pair.value);
      for (const item of isSeq(merged) ? merged.items : [merged]) {
        const source = this.#resolve(item);
        const found = isMap(source) && source !== map ? this.#pairOf(source, name, rename) : undefined;
        if (found) return found;
      }
    }
    return undefined;
  }

  #resolve(node: unknown): unknown {
    return yaml().isAlias(node) ? (node as Alias).resolve(this.document) : node;
  }

  #start(node: unknown): Position | undefined {
    const range: Range | null | undefined = (node as Node | null | undefined)?.range;
    return range === null || range === undefined ? undefined : this.positionAt(range[0]);
  }
}

/** A key as text. The library makes a symbol of the merge key. */
function nameOf({ value }: Scalar): string {
  return typeof value === 'symbol' ? (value.description ?? '') : String(value);
}
