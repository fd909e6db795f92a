import { expressionError } from '../../lib/expression-check.ts';
import { fieldValue } from '../../lib/field-value.ts';
import { Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import type { RewriteExchange } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { type Reply, reply } from '../../plugin/reply.ts';
import type { VariableSource } from '../../plugin/variable.ts';

const percentage = Type.Optional(
  Type.Integer({
    minimum: 0,
    maximum: 100,
    description: 'Of how many requests in a hundred; all when absent.',
  }),
);
const vars = Type.Optional(
  Type.Array(Type.Array(Type.Unknown()), {
    maxItems: 20,
    description:
      'Only requests that fulfil one of these expressions, for example `[[["arg_name", "==", "jack"]]]`.',
  }),
);

const config = Type.Object(
  {
    abort: Type.Optional(
      Type.Object(
        {
          http_status: Type.Integer({ minimum: 200, maximum: 999, description: 'Status of the answer.' }),
          body: Type.Optional(
            Type.String({
              minLength: 0,
              description: 'Body of the answer, with variables such as `$remote_addr`.',
            }),
          ),
          headers: Type.Optional(
            Type.Unsafe<Readonly<Record<string, string | number>>>({
              type: 'object',
              minProperties: 1,
              patternProperties: { '^[^:]+$': { oneOf: [{ type: 'string' }, { type: 'number' }] } },
              description: 'Header fields of the answer; values may contain variables.',
            }),
          ),
          percentage,
          vars,
        },
        { description: 'Answers instead of going on.' },
      ),
    ),
    delay: Type.Optional(
      Type.Object(
        {
          duration: Type.Number({ minimum: 0, description: 'Seconds to wait; fractions allowed.' }),
          percentage,
          vars,
        },
        { description: 'Waits before going on.' },
      ),
    ),
  },
  { minProperties: 1 },
);

interface Selection {
  readonly percentage?: number;
  readonly vars?: readonly (readonly unknown[])[];
}

/** Which requests a fault meets; each with its own throw of the dice. */
function compileSelection(
  { percentage = 100, vars }: Selection,
  kit: Kit,
): (source: VariableSource) => boolean {
  const expressions = vars?.map((expression) => kit.expression(expression));
  return (source) => {
    if (expressions !== undefined && !expressions.some((matches) => matches(source))) return false;
    return percentage === 100 || kit.random() * 100 < percentage;
  };
}

export const faultInjection = definePlugin({
  name: 'fault-injection',
  summary: 'Delays or refuses a share of the requests, to see how clients bear it.',
  priority: 11000,
  config,
  check(config) {
    for (const expression of [...(config.abort?.vars ?? []), ...(config.delay?.vars ?? [])]) {
      const error = expressionError(expression);
      if (error !== undefined) return error;
    }
  },
  create({ abort, delay }, kit) {
    const aborts = abort && compileSelection(abort, kit);
    const delays = delay && compileSelection(delay, kit);
    const body = abort?.body === undefined ? undefined : kit.template(abort.body);
    const headers = Object.entries(abort?.headers ?? {}).map(
      ([name, value]) => [name, kit.template(String(value))] as const,
    );

    const refuse = (exchange: RewriteExchange): Reply | undefined => {
      if (abort === undefined || !aborts?.(exchange)) return undefined;
      return reply(abort.http_status, body?.(exchange), {
        headers: headers.map(([name, value]) => [name, fieldValue(value(exchange))]),
        reason: 'injected fault',
      });
    };
    return {
      rewrite(exchange) {
        if (delay === undefined || !delays?.(exchange)) return refuse(exchange);
        return kit.delay(delay.duration * 1000).then(() => refuse(exchange));
      },
    };
  },
});
