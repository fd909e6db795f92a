// Patterns of paths: `/users/:id/orders*`.
//
// `:name` stands for one segment that is not empty, and begins right after a slash. A `*` at the end,
// which may have a name of word characters (`*rest`), stands for any rest, the empty one included; it
// may follow any character. Everything else, a `*` elsewhere too, means itself, byte for byte.

export interface PathPattern {
  /** The texts before, between and after the parameters: one more than there are parameters. */
  readonly literals: readonly string[];
  readonly names: readonly string[];
  readonly isPrefix: boolean;
  /** The name of the rest, or the empty string. */
  readonly restName: string;
}

const REST = /\*(\w*)$/;
const PARAMETER = /(?<=\/):([^/]+)/g;

export function parsePathPattern(text: string): PathPattern {
  const rest = REST.exec(text);
  const body = rest ? text.slice(0, rest.index) : text;
  const literals: string[] = [];
  const names: string[] = [];
  let end = 0;
  for (const match of body.matchAll(PARAMETER)) {
    literals.push(body.slice(end, match.index));
    names.push(match[1]);
    end = match.index + match[0].length;
  }
  literals.push(body.slice(end));
  return { literals, names, isPrefix: rest !== null, restName: rest?.[1] ?? '' };
}

/** Whether the pattern matches one path only: itself. */
export function isExact(pattern: PathPattern): boolean {
  return !pattern.isPrefix && pattern.names.length === 0;
}

/** The pattern without its names: patterns of the same shape match the same paths. */
export function shapeOf(pattern: PathPattern): string {
  return pattern.literals.join(':') + (pattern.isPrefix ? '*' : '');
}

/**
 * A function that reads the named parts from a path, undefined if the path doesn't match; or undefined
 * if the pattern names nothing, so that nothing need be done per request.
 */
export function compileCaptures(
  text: string,
): ((path: string) => Readonly<Record<string, string>> | undefined) | undefined {
  const pattern = parsePathPattern(text);
  if (pattern.names.length === 0 && pattern.restName === '') return undefined;
  return (path) => readCaptures(pattern, path);
}

/** The named parts of a path by their names; undefined if the path doesn't match the pattern. */
export function captures(text: string, path: string): Readonly<Record<string, string>> | undefined {
  return readCaptures(parsePathPattern(text), path);
}

function readCaptures(pattern: PathPattern, path: string): Record<string, string> | undefined {
  const { literals, names } = pattern;
  // Without a prototype, as operators choose the names.
  const result: Record<string, string> = Object.create(null);
  if (!path.startsWith(literals[0])) return undefined;
  let position = literals[0].length;
  for (let index = 0; index < names.length; index++) {
    const end = segmentEnd(path, position);
    const literal = literals[index + 1];
    if (end === position || !path.startsWith(literal, end)) return undefined;
    result[names[index]] = path.slice(position, end);
    position = end + literal.length;
  }
  if (!pattern.isPrefix && position !== path.length) return undefined;
  if (pattern.restName !== '') result[pattern.restName] = path.slice(position);
  return result;
}

/** Where the segment that begins at `start` ends: at the next slash or at the end of the path. */
export function segmentEnd(path: string, start: number): number {
  const slash = path.indexOf('/', start);
  return slash < 0 ? path.length : slash;
}
