// What a match is replaced by, in the syntax of ngx.re.sub: `$1`, `${1}`, `$0` and `$$`.

import { PatternError } from './pattern-error.ts';

const VARIABLE = /\$(?:(\$)|(\d+)|\{(\d+)\})?/g;

export class Replacement {
  /** Text, and the numbers of groups. */
  readonly parts: readonly (string | number)[];

  /** Throws a PatternError if a `$` is followed by neither a number nor another `$`. */
  constructor(template: string) {
    const parts: (string | number)[] = [];
    let end = 0;
    for (const match of template.matchAll(VARIABLE)) {
      const [text, dollar, bare, braced] = match;
      const group = bare ?? braced;
      if (dollar === undefined && group === undefined) {
        throw new PatternError(`failed to compile the replacement template: "${template}"`);
      }
      if (match.index > end) parts.push(template.slice(end, match.index));
      parts.push(dollar ?? Number(group));
      end = match.index + text.length;
    }
    if (end < template.length) parts.push(template.slice(end));
    this.parts = parts;
  }

  /** The text for one match; a group that is absent or took no part is empty. */
  expand(groups: readonly (string | undefined)[]): string {
    let result = '';
    for (const part of this.parts) result += typeof part === 'string' ? part : (groups[part] ?? '');
    return result;
  }
}
