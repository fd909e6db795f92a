import { fieldValue } from '../../lib/field-value.ts';
import { compilePattern } from '../../lib/pattern.ts';
import { patternError } from '../../lib/pattern-check.ts';
import { type Static, Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { type ResponseView, slot } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { reply } from '../../plugin/reply.ts';
import {
  anyOrigin,
  listedOrigins,
  matchingOrigins,
  type OriginPolicy,
  referencedOrigins,
} from './origins.ts';

const ORIGINS = '^(\\*|\\*\\*|null|\\w+://[^,]+(,\\w+://[^,]+)*)$';
const ALL_METHODS = 'GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE';

const patterns = (description: string) =>
  Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), {
      minItems: 1,
      uniqueItems: true,
      description,
    }),
  );

const config = Type.Object({
  allow_origins: Type.String({
    pattern: ORIGINS,
    default: '*',
    description:
      'Origins that may read answers, as `scheme://host:port`, separated by commas. `*` allows all where `allow_credential` is off; `**` allows all by naming them, also with credentials, which is dangerous.',
  }),
  allow_methods: Type.String({
    default: '*',
    description:
      'Methods allowed to other origins, separated by commas. `*` allows all where `allow_credential` is off; `**` lists all.',
  }),
  allow_headers: Type.String({
    default: '*',
    description:
      'Request header fields allowed to other origins, separated by commas. `*` allows all where `allow_credential` is off; `**` allows whatever the preflight asks for.',
  }),
  expose_headers: Type.Optional(
    Type.String({
      description:
        "Response header fields that scripts of other origins may read, separated by commas. When absent, the Upstream's own `Access-Control-Expose-Headers` stays.",
    }),
  ),
  max_age: Type.Integer({
    default: 5,
    description: 'Seconds for which a browser may remember a preflight; -1 for not at all.',
  }),
  allow_credential: Type.Boolean({
    default: false,
    description: 'Allows cookies and authorization from other origins. No other option may then be `*`.',
  }),
  allow_origins_by_regex: patterns(
    'Regular expressions for allowed origins, for example `.*\\.example\\.com$`. When present, `allow_origins` is not looked at.',
  ),
  allow_origins_by_metadata: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), {
      minItems: 1,
      uniqueItems: true,
      description: "Keys of `allow_origins` in the Plugin's metadata, whose origins are allowed.",
    }),
  ),
  timing_allow_origins: Type.Optional(
    Type.String({
      pattern: ORIGINS,
      description:
        'Origins that may see resource timings (`Timing-Allow-Origin`), written as `allow_origins` is.',
    }),
  ),
  timing_allow_origins_by_regex: patterns(
    'Regular expressions for origins that may see resource timings. When present, `timing_allow_origins` is not looked at.',
  ),
});

const metadata = Type.Object({
  allow_origins: Type.Optional(
    Type.Record(Type.String({ pattern: ORIGINS }), {
      description: 'Lists of origins by a key, for `allow_origins_by_metadata`.',
    }),
  ),
});

type Config = Static<typeof config>;

/** The Origin as it came, for a Plugin may rewrite the request's header before the answer is there. */
const requestOrigin = slot<string>('cors request origin');

function allowedOrigins(config: Config, kit: Kit): OriginPolicy {
  const policies: OriginPolicy[] = [];
  const { allow_origins_by_metadata: keys, allow_origins_by_regex: expressions } = config;
  if (keys !== undefined) policies.push(referencedOrigins(keys, () => kit.metadata()));
  if (expressions !== undefined) {
    policies.push(matchingOrigins(expressions.map((expression) => compilePattern(expression))));
  } else if (keys === undefined || config.allow_origins !== '*') {
    policies.push(listedOrigins(config.allow_origins));
  }
  return anyOrigin(policies);
}

function timingOrigins(config: Config): OriginPolicy | undefined {
  const expressions = config.timing_allow_origins_by_regex;
  if (expressions !== undefined) {
    return matchingOrigins(expressions.map((expression) => compilePattern(expression)));
  }
  return config.timing_allow_origins === undefined ? undefined : listedOrigins(config.timing_allow_origins);
}

/** Whether the answer to two origins can differ, which caches must know. */
function varies(config: Config): boolean {
  return (
    config.allow_origins !== '*' ||
    config.allow_origins_by_regex !== undefined ||
    config.allow_origins_by_metadata !== undefined ||
    config.timing_allow_origins_by_regex !== undefined ||
    (config.timing_allow_origins ?? '*') !== '*'
  );
}

function addVaryOrigin(response: ResponseView): void {
  const covered = response
    .headerValues('vary')
    .some((value) => /(?:^|,)\s*(?:\*|origin)\s*(?:,|$)/i.test(value));
  if (!covered) response.addHeader('Vary', 'Origin');
}

/** The gateway owns CORS: what an Upstream says beside it would double or contradict it. */
function removeUpstreamFields(response: ResponseView): void {
  response.removeHeader('access-control-allow-origin');
  response.removeHeader('access-control-allow-methods');
  response.removeHeader('access-control-max-age');
  response.removeHeader('access-control-allow-headers');
  response.removeHeader('access-control-allow-credentials');
}

export const cors = definePlugin({
  name: 'cors',
  summary: 'Tells browsers which other origins may use an API, and answers their preflight requests.',
  priority: 4000,
  config,
  metadata,
  check(config) {
    if (
      config.allow_credential &&
      (config.allow_origins === '*' ||
        config.allow_methods === '*' ||
        config.allow_headers === '*' ||
        config.expose_headers === '*' ||
        config.timing_allow_origins === '*')
    ) {
      return "you can not set '*' for other option when 'allow_credential' is true";
    }
    const { allow_origins_by_regex: allow = [], timing_allow_origins_by_regex: timing = [] } = config;
    for (const expression of [...allow, ...timing]) {
      const error = patternError(expression);
      if (error !== undefined) return error;
    }
  },
  create(config, kit) {
    const policy = allowedOrigins(config, kit);
    const timing = timingOrigins(config);
    const vary = varies(config);
    const methods = config.allow_methods === '**' ? ALL_METHODS : fieldValue(config.allow_methods);
    const maxAge = String(config.max_age);
    const exposed = config.expose_headers === undefined ? undefined : fieldValue(config.expose_headers);
    const headers = config.allow_headers === '**' ? undefined : fieldValue(config.allow_headers);

    return {
      rewrite(exchange) {
        const origin = exchange.request.header('origin');
        if (origin !== undefined) exchange.set(requestOrigin, origin);
        if (exchange.request.method === 'OPTIONS') return reply(200, '', { reason: 'cors preflight' });
      },
      responseHeaders(exchange) {
        const { request, response } = exchange;
        // A Reply of a Plugin before this one came before the Origin was kept.
        const origin = exchange.get(requestOrigin) ?? request.header('origin');
        if (vary) addVaryOrigin(response);
        removeUpstreamFields(response);
        const allowed = policy(origin);
        if (allowed !== undefined) {
          response.setHeader('Access-Control-Allow-Origin', allowed);
          response.setHeader('Access-Control-Allow-Methods', methods);
          response.setHeader('Access-Control-Max-Age', maxAge);
          if (exposed) response.setHeader('Access-Control-Expose-Headers', exposed);
          const asked = headers ?? request.header('access-control-request-headers');
          if (asked !== undefined) response.setHeader('Access-Control-Allow-Headers', asked);
          if (config.allow_credential) response.setHeader('Access-Control-Allow-Credentials', 'true');
        }
        if (timing !== undefined) {
          const seen = timing(origin);
          if (seen === undefined) response.removeHeader('timing-allow-origin');
          else response.setHeader('Timing-Allow-Origin', seen);
        }
      },
    };
  },
});
