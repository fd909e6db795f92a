import type { Position } from './file-error.ts';
import type { SourceText } from './source-text.ts';
import { parseYaml } from './yaml-text.ts';

const TOKEN =
  /[ \t\r\n]*(?:(?<mark>[{}[\],:])|(?<text>"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-]))/y;

/** Parses JSON. YAML's parser, which knows positions, is loaded only when something is wrong. */
export function parseJson(text: string): SourceText {
  // JSON is YAML but for rare texts, and where it is not a position is missing, no more.
  let tree: SourceText | undefined;
  const positions = () => (tree ??= parseYaml(text));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The engine's message quotes the text, which may be a secret.
    const { offset, message } = syntaxError(text);
    return {
      value: undefined,
      errors: [{ path: [], message, position: positionAt(text, offset) }],
      positionOf: () => undefined,
    };
  }
  return {
    value,
    errors: hasDuplicates(text, value) ? positions().errors : [],
    positionOf: (path, rename) => positions().positionOf(path, rename),
  };
}

/** JSON.parse lets the last of several members with the same name win; the text has more of them then. */
function hasDuplicates(text: string, value: unknown): boolean {
  let written = 0;
  for (const [, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"([ \t\r\n]*:)?/gs))
    if (colon !== undefined) written += 1;
  return written !== memberCount(value);
}

function memberCount(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const items: readonly unknown[] = Object.values(value);
  return items.reduce<number>(
    (sum, item) => sum + memberCount(item),
    Array.isArray(value) ? 0 : items.length,
  );
}

function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

type Expected = 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or }' | ', or ]' | 'end';

const WORDS: Readonly<Record<Expected, string>> = {
  value: 'a value',
  'value or ]': 'a value or ]',
  name: 'a name in double quotes',
  'name or }': 'a name in double quotes or }',
  ':': 'a colon',
  ', or }': 'a comma or }',
  ', or ]': 'a comma or ]',
  end: 'the end of the file',
};

/** The first place where a text stops being JSON. */
function syntaxError(text: string): { readonly offset: number; readonly message: string } {
  const open: ('{' | '[')[] = [];
  let expected: Expected = 'value';
  const afterValue = (): Expected => (open.length === 0 ? 'end' : open.at(-1) === '{' ? ', or }' : ', or ]');
  const token = new RegExp(TOKEN);
  for (;;) {
    const start = token.lastIndex;
    const match = token.exec(text);
    const next = match === null ? undefined : step(match.groups?.mark ?? (match.groups?.text ? '"' : '0'));
    if (next === undefined) {
      const offset = start + (/^[ \t\r\n]*/.exec(text.slice(start))?.[0].length ?? 0);
      const found = offset === text.length ? 'the file ends' : `there is ${describe(text, offset)}`;
      return { offset, message: `not JSON: ${found} where ${WORDS[expected]} should be` };
    }
    expected = next;
  }

  function step(mark: string): Expected | undefined {
    const wantsValue = expected === 'value' || expected === 'value or ]';
    const wantsName = expected === 'name' || expected === 'name or }';
    switch (mark) {
      case '{':
      case '[':
        if (!wantsValue) return undefined;
        open.push(mark);
        return mark === '{' ? 'name or }' : 'value or ]';
      case '}':
      case ']':
        if (expected !== `, or ${mark}` && expected !== (mark === '}' ? 'name or }' : 'value or ]'))
          return undefined;
        open.pop();
        return afterValue();
      case ',':
        return expected === ', or }' ? 'name' : expected === ', or ]' ? 'value' : undefined;
      case ':':
        return expected === ':' ? 'value' : undefined;
      case '"':
        return wantsName ? ':' : wantsValue ? afterValue() : undefined;
      default:
        return wantsValue ? afterValue() : undefined;
    }
  }
}

/** What stands there, if it is a mark; anything else might be part of a secret. */
function describe(text: string, offset: number): string {
  const character = text[offset];
  return /[\w\s]/.test(character) ? 'something else' : character;
}
