import { isFieldName } from '../../lib/field-name.ts';
import { replacementError } from '../../lib/pattern-check.ts';
import { type Static, Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { reply } from '../../plugin/reply.ts';
import { compileHeaderRewrite, type HeadersConfig, headerOperations } from './header-rewrite.ts';
import { compilePathRewrite, NO_CAPTURES } from './path-rewrite.ts';

const fieldValues = (description: string) => ({
  type: 'object',
  minProperties: 1,
  patternProperties: { '^[^:]+$': { oneOf: [{ type: 'string' }, { type: 'number' }] } },
  description,
});

const config = Type.Object({
  uri: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 4096,
      pattern: '^\\/.*',
      description:
        "The path for the Upstream, with variables such as `$arg_name`. After a `?` it may have a query, to which the request's is appended.",
    }),
  ),
  method: Type.Optional(
    Type.Enum(
      [
        'GET',
        'POST',
        'PUT',
        'HEAD',
        'DELETE',
        'OPTIONS',
        'MKCOL',
        'COPY',
        'MOVE',
        'PROPFIND',
        'LOCK',
        'UNLOCK',
        'PATCH',
        'TRACE',
      ],
      { description: 'The method for the Upstream.' },
    ),
  ),
  regex_uri: Type.Optional(
    Type.Array(Type.String({ description: 'A regular expression, or what replaces its match.' }), {
      minItems: 2,
      description:
        'Pairs of a regular expression for the path and what replaces its match, with captures: `["^/api/(.*)", "/$1"]`. The first that matches counts. Not looked at when `uri` is there.',
    }),
  ),
  host: Type.Optional(
    Type.String({
      pattern: '^[0-9a-zA-Z-.]+(:\\d{1,5})?$',
      description: 'The Host for the Upstream.',
    }),
  ),
  headers: Type.Optional(
    Type.Unsafe<HeadersConfig>({
      description:
        'Changes to the request header: `{add, set, remove}`, done in this order, or just names and values, which are set. Values may contain variables and the captures of `regex_uri`.',
      oneOf: [
        {
          type: 'object',
          minProperties: 1,
          additionalProperties: false,
          properties: {
            add: fieldValues('Fields to add to those already there.'),
            set: fieldValues('Fields to set; an empty value removes.'),
            remove: {
              type: 'array',
              minItems: 1,
              items: { type: 'string', pattern: '^[^:]+$' },
              description: 'Names of fields to remove.',
            },
          },
        },
        fieldValues('Fields to set, in the older form.'),
      ],
    }),
  ),
  use_real_request_uri_unsafe: Type.Boolean({
    default: false,
    description:
      'Begins with the path and query as the client wrote them, without normalisation: what the Route matched and what the Upstream sees can then differ.',
  }),
});

type Config = Static<typeof config>;

function regexUriError(pairs: readonly string[]): string | undefined {
  if (pairs.length % 2 !== 0) return 'The length of regex_uri should be an even number';
  for (let index = 0; index < pairs.length; index += 2) {
    const [expression, replacement] = pairs.slice(index, index + 2);
    const error = replacementError(expression, replacement);
    if (error !== undefined) return `invalid regex_uri(${expression}, ${replacement}): ${error}`;
  }
}

const PRINTABLE = /^[\x20-\x7e]*$/;

function headersError(headers: HeadersConfig): string | undefined {
  const { add = {}, set = {}, remove = [] } = headerOperations(headers);
  for (const name of [...Object.keys(add), ...Object.keys(set), ...remove]) {
    if (name === '') return 'invalid field length in header';
    if (!isFieldName(name)) return 'invalid field character in header';
  }
  // APISIX checks values in the older form only.
  if (set === headers && Object.values(set).some((value) => !PRINTABLE.test(String(value)))) {
    return 'invalid value character in header';
  }
}

export const proxyRewrite = definePlugin({
  name: 'proxy-rewrite',
  summary: 'Rewrites path, method, host and header of the request for the Upstream.',
  priority: 1008,
  config,
  check(config) {
    return (
      (config.regex_uri && regexUriError(config.regex_uri)) ??
      (config.headers && headersError(config.headers))
    );
  },
  create(config: Config, kit) {
    const { host, method } = config;
    const rewritePath = compilePathRewrite(config, kit);
    const rewriteHeaders = config.headers && compileHeaderRewrite(config.headers, kit);
    return {
      rewrite(exchange) {
        const { upstream } = exchange;
        if (host !== undefined) upstream.host = host;
        const captures = rewritePath === undefined ? NO_CAPTURES : rewritePath(exchange);
        if (captures === undefined) {
          return reply(400, undefined, { reason: 'the rewritten path climbs out with ..' });
        }
        rewriteHeaders?.(exchange, captures);
        if (method !== undefined) upstream.method = method;
      },
    };
  },
});
