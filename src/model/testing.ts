// For tests of the model and of what is built on it: small Plugins and a Configuration with a clock
// that stands still.

import { Type } from '../lib/schema.ts';
import { Configuration } from './configuration.ts';
import { referenceTo } from './identifier.ts';
import type { PluginDefinition } from './plugin-schema.ts';
import { Sealing } from './sealing.ts';

const positiveOrText = { oneOf: [{ type: 'integer', exclusiveMinimum: 0 }, { type: 'string' }] };

/** Stand-ins with the schemas of the recorded exchanges. `create` is there so that they are whole Plugins too. */
export const fakePlugins = [
  {
    name: 'key-auth',
    summary: 'Recognises callers by a key.',
    priority: 2500,
    config: Type.Object({ header: Type.String({ default: 'apikey' }) }),
    credential: {
      config: Type.Object({ key: Type.String({ minLength: 1, secret: true }) }),
      identity: (config: Readonly<Record<string, unknown>>) => String(config.key),
      identityField: 'key',
    },
    create: () => ({}),
  },
  {
    name: 'limit-count',
    summary: 'Allows a number of requests in a fixed window of time.',
    priority: 1002,
    config: Type.Object(
      {
        count: Type.Optional(Type.Unsafe<number | string>(positiveOrText)),
        time_window: Type.Optional(Type.Unsafe<number | string>(positiveOrText)),
        rejected_code: Type.Integer({ minimum: 200, maximum: 599, default: 503 }),
        key_type: Type.Enum(['var', 'var_combination', 'constant'], { default: 'var' }),
        key: Type.String({ default: 'remote_addr' }),
        group: Type.Optional(Type.String()),
        redis_password: Type.Optional(Type.String({ secret: true })),
      },
      { oneOf: [{ required: ['count', 'time_window'] }, { required: ['rules'] }] },
    ),
    group: ({ group }: { readonly group?: string }) => group,
    create: () => ({}),
  },
  {
    name: 'proxy-rewrite',
    summary: 'Changes the request.',
    priority: 1008,
    config: Type.Object({
      regex_uri: Type.Optional(Type.Array(Type.String())),
      headers: Type.Optional(Type.Unsafe<object>({ type: 'object' })),
    }),
    metadata: Type.Object({ token: Type.Optional(Type.String({ secret: true })) }),
    check: (config: { readonly regex_uri?: readonly string[] }) =>
      config.regex_uri?.[0] === '^/('
        ? `invalid regex_uri(${config.regex_uri.join(', ')}): pcre2_compile() failed: missing closing parenthesis in "^/("`
        : undefined,
    create: () => ({}),
  },
  {
    name: 'traffic-split',
    summary: 'Divides traffic among Upstreams.',
    priority: 966,
    config: Type.Object({
      rules: Type.Array(
        Type.Object({
          weighted_upstreams: Type.Array(
            Type.Object({ upstream_id: Type.Optional(referenceTo('upstreams')) }),
          ),
        }),
      ),
    }),
    create: () => ({}),
  },
] satisfies readonly (PluginDefinition & Record<string, unknown>)[];

/** A clock for tests: stands still until told otherwise. */
export class TestClock {
  #now = 1_795_171_888_000;
  now(): number {
    return this.#now;
  }
  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }
}

export function testConfiguration(clock = new TestClock()): Configuration {
  return new Configuration({ plugins: fakePlugins, sealing: new Sealing(Buffer.alloc(32, 7)), clock });
}
