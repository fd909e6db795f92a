import { compilePattern, type Pattern, Replacement } from '../../lib/pattern.ts';
import { encodePath, encodeUri } from '../../lib/percent-encoding.ts';
import type { RewriteExchange, UpstreamRequestView } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { type TemplatePart, templateParts, type Variable } from '../../plugin/variable.ts';

export type Captures = readonly (string | undefined)[];

/** What `regex_uri` matched, for the header values; empty when nothing did. */
export const NO_CAPTURES: Captures = [];

/** Rewrites the path and query for the Upstream. Gives the captures; undefined when the outcome climbs out of its place. */
export type PathRewrite = (exchange: RewriteExchange) => Captures | undefined;

interface PathConfig {
  readonly uri?: string;
  readonly regex_uri?: readonly string[];
  readonly use_real_request_uri_unsafe: boolean;
}

/** The path rewrite of a config; undefined when it leaves the path alone. */
export function compilePathRewrite(config: PathConfig, kit: Kit): PathRewrite | undefined {
  const { uri, regex_uri: pairs, use_real_request_uri_unsafe: asSent } = config;
  const begin = asSent ? useTargetAsSent : undefined;
  const rewrite = uri === undefined ? pairs && byPatterns(pairs, asSent) : byTemplate(uri, asSent, kit);
  if (begin === undefined || rewrite === undefined) return rewrite ?? begin;
  return (exchange) => {
    begin(exchange);
    return rewrite(exchange);
  };
}

const SCHEME_AND_AUTHORITY = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?]*/;

/** The path and query as the client wrote them, without normalisation. */
function useTargetAsSent({ request, upstream }: RewriteExchange): Captures {
  // Absolute-form names scheme and authority before the path; `*` has no path.
  const uri = request.target.replace(SCHEME_AND_AUTHORITY, '');
  if (uri !== '*') set(upstream, uri, '');
  return NO_CAPTURES;
}

/** Writes a path, whose first `?` begins a query, and appends the query that was there. */
function set(upstream: Pick<UpstreamRequestView, 'path' | 'query'>, uri: string, query: string): void {
  const mark = uri.indexOf('?');
  const path = encodePath(mark < 0 ? uri : uri.slice(0, mark));
  upstream.path = path.startsWith('/') ? path : `/${path}`;
  const added = mark < 0 ? '' : encodeUri(uri.slice(mark + 1)).replaceAll('#', '%23');
  upstream.query = joinQueries(added, query);
}

function joinQueries(first: string, second: string): string {
  return first !== '' && second !== '' ? `${first}&${second}` : first || second;
}

const CLIMB = /\/(?:\.|%2e){2}(?:\/|$)/i;

/**
 * Whether a path leaves the place its template put it in. The request's own path has no `..` any more,
 * but `^/files(.*)` and `/data/files/$1` make one out of `/files../secret`, and so does a variable.
 */
function climbs(path: string): boolean {
  return (path.includes('/..') || path.includes('%2')) && CLIMB.test(path);
}

function byTemplate(uri: string, asSent: boolean, kit: Kit): PathRewrite {
  const parts = templateParts(uri).map((part: TemplatePart): string | Variable =>
    typeof part === 'string' ? part : kit.variable(part.name),
  );
  if (parts.every((part) => typeof part === 'string')) return byText(uri, asSent);
  return (exchange) => {
    const { upstream } = exchange;
    let text = '';
    for (const part of parts) {
      // A `?` in a value is data: only the template decides where the query begins.
      text += typeof part === 'string' ? part : (part(exchange) ?? '').replaceAll('?', '%3F');
    }
    set(upstream, text, asSent ? '' : upstream.query);
    return asSent || !climbs(upstream.path) ? NO_CAPTURES : undefined;
  };
}

function byText(uri: string, asSent: boolean): PathRewrite {
  const fixed = { path: '', query: '' };
  set(fixed, uri, '');
  return ({ upstream }) => {
    upstream.path = fixed.path;
    upstream.query = joinQueries(fixed.query, asSent ? '' : upstream.query);
    return NO_CAPTURES;
  };
}

interface Pair {
  readonly pattern: Pattern;
  readonly replacement: Replacement;
}

function byPatterns(regexUri: readonly string[], asSent: boolean): PathRewrite {
  const pairs: Pair[] = [];
  for (let index = 0; index < regexUri.length; index += 2) {
    pairs.push({
      pattern: compilePattern(regexUri[index]),
      replacement: new Replacement(regexUri[index + 1]),
    });
  }
  return (exchange) => {
    const { upstream } = exchange;
    const subject = asSent && upstream.query !== '' ? `${upstream.path}?${upstream.query}` : upstream.path;
    for (const { pattern, replacement } of pairs) {
      const match = pattern.exec(subject);
      if (match === null) continue;
      const end = match.index + (match[0]?.length ?? 0);
      const uri = subject.slice(0, match.index) + replacement.expand(match) + subject.slice(end);
      set(upstream, uri, asSent ? '' : upstream.query);
      return asSent || !climbs(upstream.path) ? match : undefined;
    }
    return NO_CAPTURES;
  };
}
