import { expressionError } from '../../lib/expression-check.ts';
import { isFieldName } from '../../lib/field-name.ts';
import { type Static, Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { type ResponseBodyExchange, type ResponseView, slot } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { compileBodyFilter, filterError } from './body-filter.ts';
import { decoderOf } from './content-coding.ts';
import { compileHeaderEdits, type HeadersConfig, headerEdits } from './header-edits.ts';

const fieldValues = (description: string) => ({
  type: 'object',
  minProperties: 1,
  patternProperties: { '^[^:]+$': { oneOf: [{ type: 'string' }, { type: 'number' }] } },
  description,
});

const filter = Type.Object({
  regex: Type.String({ minLength: 1, description: 'What to look for in the body.' }),
  scope: Type.Enum(['once', 'global'], {
    default: 'once',
    description: 'Whether to replace the first match or all.',
  }),
  replace: Type.String({ description: 'What to put in its place, with captures as `$1`.' }),
  options: Type.String({
    default: 'jo',
    description:
      'Options as in `ngx.re`: `i` ignores case, `m` and `s` change `^`, `$` and `.`, `a` anchors. Those that tune an engine are accepted and mean nothing.',
  }),
});

const config = Type.Object(
  {
    headers: Type.Optional(
      Type.Unsafe<HeadersConfig>({
        description:
          'Changes to the response header: `{add, set, remove}`, done in this order, or just names and values, which are set. Values may contain variables.',
        anyOf: [
          fieldValues('Fields to set, in the older form.'),
          {
            properties: {
              add: {
                type: 'array',
                minItems: 1,
                items: { type: 'string', pattern: '^[^:]+:[^:]+[^/]$' },
                description: 'Fields to add to those already there, as `Name: value`.',
              },
              set: fieldValues('Fields to set; an empty value removes.'),
              remove: {
                type: 'array',
                minItems: 1,
                items: { type: 'string', pattern: '^[^:]+$' },
                description: 'Names of fields to remove.',
              },
            },
          },
        ],
      }),
    ),
    body: Type.Optional(
      Type.String({ description: 'The body to send instead. Not together with `filters`.' }),
    ),
    body_base64: Type.Boolean({
      default: false,
      description: '`body` is base64 of the bytes to send.',
    }),
    status_code: Type.Optional(
      Type.Integer({ minimum: 200, maximum: 598, description: 'The status to send instead.' }),
    ),
    vars: Type.Optional(
      Type.Array(Type.Unknown(), {
        description:
          'Rewrites only answers that fulfil this expression, for example `[["status", "==", 200]]`.',
      }),
    ),
    filters: Type.Optional(
      Type.Array(filter, {
        minItems: 1,
        description: 'Replacements in the body, one after the other. The whole body is held for them.',
      }),
    ),
  },
  {
    dependencies: {
      body: { not: { required: ['filters'] } },
      filters: { not: { required: ['body'] } },
    },
  },
);

type Config = Static<typeof config>;

/** The Bindings whose `vars` the response head fulfilled, for their turn at the body. */
const matchedBindings = slot<object[]>('response-rewrite bindings');

/** The body is no longer what these say of it. */
function removeBodyFields(response: ResponseView): void {
  response.removeHeader('content-length');
  response.removeHeader('content-encoding');
  response.removeHeader('last-modified');
  response.removeHeader('etag');
}

function compileFilters(config: Config, kit: Kit): (exchange: ResponseBodyExchange) => void | Promise<void> {
  const filterBody = compileBodyFilter(config.filters ?? []);
  const replace = (response: ResponseBodyExchange['response'], body: Uint8Array) => {
    const filtered = filterBody(body);
    if (filtered === body) return;
    response.body = filtered;
    removeBodyFields(response);
  };
  return ({ response }) => {
    if (response.body.length === 0) return;
    const coding = response.header('content-encoding') ?? 'identity';
    if (coding === 'identity') return replace(response, response.body);
    const decode = decoderOf(coding);
    if (decode === undefined) {
      kit.log.warn('filters skipped: unsupported content encoding', { coding });
      return;
    }
    return decode(response.body).then(
      (body) => replace(response, body),
      (error: Error) => kit.log.warn('filters skipped: body not decoded', { coding, error: error.message }),
    );
  };
}

function headersError(headers: HeadersConfig): string | undefined {
  const { add, set, remove } = headerEdits(headers);
  for (const name of [...add.map(([name]) => name), ...set.map(([name]) => name), ...remove]) {
    if (name === '') return 'invalid field length in header';
    if (!isFieldName(name)) return 'invalid field character in header';
  }
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

function base64Error({ body = '', body_base64: encoded }: Config): string | undefined {
  if (!encoded) return undefined;
  const valid = BASE64.test(body) && body.replaceAll('=', '').length % 4 !== 1;
  return valid ? undefined : 'invalid base64 content';
}

function filtersError({ filters = [] }: Config): string | undefined {
  for (const filter of filters) {
    const error = filterError(filter);
    if (error !== undefined) return error;
  }
}

function varsError({ vars }: Config): string | undefined {
  const error = vars && expressionError(vars);
  return error && `failed to validate the 'vars' expression: ${error}`;
}

export const responseRewrite = definePlugin({
  name: 'response-rewrite',
  summary: 'Rewrites status, header and body of the answer.',
  priority: 899,
  config,
  needsBody: (config) => (config.filters === undefined ? undefined : 'response'),
  check(config) {
    return (
      (config.headers && headersError(config.headers)) ??
      base64Error(config) ??
      varsError(config) ??
      filtersError(config)
    );
  },
  create(config, kit) {
    const { status_code: status, vars } = config;
    const matches = vars && vars.length > 0 ? kit.expression(vars) : undefined;
    const editHeaders = config.headers && compileHeaderEdits(config.headers, kit);
    const filterBody = config.filters && compileFilters(config, kit);
    let body: string | Uint8Array | undefined = config.body;
    if (body !== undefined && config.body_base64) body = Buffer.from(body, 'base64');
    const binding = {};

    return {
      responseHeaders(exchange) {
        if (matches !== undefined && !matches(exchange)) return;
        const { response } = exchange;
        if (filterBody !== undefined) {
          const bindings = exchange.get(matchedBindings);
          if (bindings === undefined) exchange.set(matchedBindings, [binding]);
          else bindings.push(binding);
        }
        if (status !== undefined) response.status = status;
        if (body !== undefined) {
          removeBodyFields(response);
          response.replaceBody(body);
        }
        editHeaders?.(exchange);
      },
      ...(filterBody !== undefined && {
        responseBody(exchange: ResponseBodyExchange) {
          if (exchange.get(matchedBindings)?.includes(binding)) return filterBody(exchange);
        },
      }),
    };
  },
});
