import { compilePattern, Replacement } from '../../lib/pattern.ts';
import { replacementError } from '../../lib/pattern-check.ts';
import { encodeUri } from '../../lib/percent-encoding.ts';
import { type Static, Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import type { RewriteExchange } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { reply } from '../../plugin/reply.ts';
import { compileLocation, type Piece } from './location.ts';
import { uriPieces } from './uri-template.ts';

const config = Type.Object(
  {
    ret_code: Type.Integer({
      minimum: 200,
      maximum: 999,
      default: 302,
      description: 'Status of the answer. `http_to_https` has its own: 301 for GET and HEAD, 308 otherwise.',
    }),
    uri: Type.Optional(
      Type.String({
        minLength: 2,
        pattern: '(\\\\\\$[0-9a-zA-Z_]+)|\\$\\{([0-9a-zA-Z_]+)\\}|\\$([0-9a-zA-Z_]+)|(\\$|[^$\\\\]+)',
        description:
          'Where to, with variables: `$uri/index.html`, `https://$host/x`. `\\$` is a dollar sign; a variable without a value is empty.',
      }),
    ),
    regex_uri: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 2,
        maxItems: 2,
        description:
          'A regular expression for the path, and where to, with its captures: `["^/old/(.*)", "/new/$1"]`. A path that does not match goes on to the Upstream.',
      }),
    ),
    http_to_https: Type.Optional(
      Type.Boolean({ description: 'Sends plain HTTP requests to the same URI under https.' }),
    ),
    encode_uri: Type.Boolean({
      default: false,
      description: 'Percent-encodes also what could be taken for a fragment (`#`) in the path.',
    }),
    append_query_string: Type.Boolean({
      default: false,
      description: "Appends the request's query to the Location.",
    }),
  },
  {
    oneOf: [{ required: ['uri'] }, { required: ['regex_uri'] }, { required: ['http_to_https'] }],
  },
);

const metadata = Type.Object({
  https_port: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65535,
      description: 'Port that `http_to_https` names in the Location; 443 is left out.',
    }),
  ),
});

type Config = Static<typeof config>;
/** Where a request is sent to; undefined when it is not redirected, null when that can't be said. */
type Redirection = (exchange: RewriteExchange) => string | undefined | null;

function byUri(uri: string, kit: Kit): Redirection {
  const pieces = uriPieces(uri).map((part) => (typeof part === 'string' ? part : kit.variable(part.name)));
  const location = compileLocation<RewriteExchange>(pieces);
  return (exchange) => location(exchange) ?? null;
}

interface Match {
  readonly before: string;
  readonly captures: readonly (string | undefined)[];
  readonly after: string;
}

function byPattern([expression, replacement]: readonly string[]): Redirection {
  const pattern = compilePattern(expression);
  const pieces: Piece<Match>[] = new Replacement(replacement).parts.map((part) =>
    typeof part === 'string' ? part : (match: Match) => match.captures[part],
  );
  pieces.push((match) => match.after);
  const whole = compileLocation(pieces);
  const inner = compileLocation([(match: Match) => match.before, ...pieces]);
  return (exchange) => {
    const { path } = exchange.request;
    const found = pattern.exec(path);
    if (found === null) return undefined;
    const before = path.slice(0, found.index);
    const after = path.slice(found.index + (found[0]?.length ?? 0));
    const match = { before, captures: found, after };
    return (before === '' ? whole : inner)(match) ?? null;
  };
}

function toHttps(exchange: RewriteExchange, kit: Kit): string | undefined | null {
  const { scheme, host, target, path, query } = exchange.request;
  if (scheme !== 'http') return undefined;
  if (host === '') return null;
  const port = kit.metadata()?.https_port;
  const authority = port === undefined || port === 443 ? host : `${host}:${port}`;
  // What follows a host is neither an absolute URI nor `*`.
  if (target.startsWith('/')) return encodeUri(`https://${authority}${target}`);
  const place = path.startsWith('/') ? path : '/';
  return encodeUri(`https://${authority}${place}${query === '' ? '' : `?${query}`}`);
}

function finish(location: string, config: Config, exchange: RewriteExchange): string {
  const start = location.indexOf('?');
  const path = start < 0 ? location : location.slice(0, start);
  const query = start < 0 ? '' : location.slice(start);
  const encoded = config.encode_uri ? path.replaceAll('#', '%23') + query : location;
  const asked = exchange.request.query;
  if (!config.append_query_string || asked === '') return encoded;
  return `${encoded}${start < 0 ? '?' : '&'}${encodeUri(asked)}`;
}

export const redirect = definePlugin({
  name: 'redirect',
  summary: 'Sends the client to another URI, or from http to https.',
  priority: 900,
  config,
  metadata,
  check(config) {
    if (config.regex_uri !== undefined) {
      const [expression, replacement] = config.regex_uri;
      const error = replacementError(expression, replacement);
      if (error !== undefined) return `invalid regex_uri (${expression}, ${replacement}), err:${error}`;
    }
    if (config.http_to_https && config.append_query_string) {
      return 'only one of `http_to_https` and `append_query_string` can be configured.';
    }
  },
  create(config, kit) {
    const { uri, regex_uri: regexUri } = config;
    if (uri === undefined && regexUri === undefined && !config.http_to_https) return {};
    let redirection: Redirection;
    if (uri !== undefined) redirection = byUri(uri, kit);
    else if (regexUri !== undefined) redirection = byPattern(regexUri);
    else redirection = (exchange) => toHttps(exchange, kit);

    const status = (method: string): number => {
      if (!config.http_to_https) return config.ret_code;
      // 301 lets a browser turn POST into GET; 308 doesn't (RFC 9110 15.4.9).
      return method === 'GET' || method === 'HEAD' ? 301 : 308;
    };
    return {
      rewrite(exchange) {
        const location = redirection(exchange);
        if (location === undefined) return;
        if (location === null) return reply(400, undefined, { reason: 'no safe redirect from this request' });
        return reply(status(exchange.request.method), undefined, {
          headers: [['Location', finish(location, config, exchange)]],
          reason: 'redirect',
        });
      },
    };
  },
});
