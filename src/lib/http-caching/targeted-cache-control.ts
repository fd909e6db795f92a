import { applyDirective, type CacheDirectives, noDirectives } from './cache-control.ts';

const KEY = /[*a-z][a-z0-9_.*-]*/y;
const ITEM =
  /(?:(-?\d{1,15}(?![\d.]))|-?\d{1,12}\.\d{1,3}|"((?:[ !#-[\]-~]|\\["\\])*)"|([A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*)|:[A-Za-z0-9+/=]*:|\?([01]))/y;
const PARAMETER = /; *[*a-z][a-z0-9_.*-]*(?:=(?:-?[\d.]+|"(?:[ !#-[\]-~]|\\["\\])*"|[A-Za-z*:?][^\s,;"]*))?/y;

/**
 * Reads a targeted field such as CDN-Cache-Control (RFC 9213): a dictionary of structured values
 * (RFC 9651), strictly. Undefined when it is empty or broken, and then it is as if it weren't there.
 */
export function parseTargetedCacheControl(values: readonly string[]): Readonly<CacheDirectives> | undefined {
  const text = values.join(', ').trim();
  if (text === '') return undefined;
  const members = new Map<string, string | undefined>();
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  for (;;) {
    const key = take(KEY)?.[0];
    if (key === undefined) return undefined;
    let value: string | undefined;
    let usable = true;
    if (text[at] === '=') {
      at++;
      const item = take(ITEM);
      if (item === null) return undefined;
      // A number, or names of fields; the false of a directive means that it isn't there.
      if (item[1] !== undefined) value = item[1];
      else if (item[2] !== undefined && (key === 'no-cache' || key === 'private')) value = item[2];
      else usable = item[4] === '1';
    }
    while (take(PARAMETER) !== null);
    members.delete(key);
    if (usable) members.set(key, value);
    while (text[at] === ' ' || text[at] === '\t') at++;
    if (at === text.length) break;
    if (text[at] !== ',') return undefined;
    at++;
    while (text[at] === ' ' || text[at] === '\t') at++;
  }
  const directives = noDirectives();
  for (const [key, value] of members) applyDirective(directives, key, value);
  return directives;
}
