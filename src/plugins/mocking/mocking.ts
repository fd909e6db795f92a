import { fieldValue } from '../../lib/field-value.ts';
import { type Static, Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import type { AccessExchange } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { reply } from '../../plugin/reply.ts';
import type { Template } from '../../plugin/variable.ts';
import { compileExample, type ExampleSchema, exampleToXml } from './example.ts';

const MEDIA_TYPES = new Set(['application/xml', 'application/json', 'text/plain', 'text/html', 'text/xml']);

const config = Type.Object(
  {
    delay: Type.Integer({ default: 0, description: 'Seconds to wait before answering.' }),
    response_status: Type.Integer({
      default: 200,
      minimum: 100,
      description: "The answer's status, 200 to 999.",
    }),
    content_type: Type.String({
      default: 'application/json;charset=utf8',
      description:
        "The answer's `Content-Type`: application/json, application/xml, text/plain, text/html or text/xml, with or without parameters.",
    }),
    response_example: Type.Optional(
      Type.String({
        description:
          "The answer's body, with variables such as `$remote_addr`. Goes before `response_schema`.",
      }),
    ),
    response_schema: Type.Optional(
      Type.Unsafe<ExampleSchema>({
        type: 'object',
        description:
          'A JSON Schema of the body (`type`, `properties`, `items`, `example`), from which each answer is made at random. Not for text/html.',
      }),
    ),
    with_mock_header: Type.Boolean({
      default: true,
      description: 'Adds `x-mock-by`, so that nobody takes the answer for a real one.',
    }),
    response_headers: Type.Optional(
      Type.Unsafe<Readonly<Record<string, string | number>>>({
        type: 'object',
        minProperties: 1,
        patternProperties: { '^[^:]+$': { oneOf: [{ type: 'string' }, { type: 'number' }] } },
        description: 'Header fields of the answer; values may contain variables.',
      }),
    ),
  },
  { anyOf: [{ required: ['response_example'] }, { required: ['response_schema'] }] },
);

type Config = Static<typeof config>;

function mediaType(contentType: string): string {
  const end = contentType.indexOf(';');
  return end < 0 ? contentType : contentType.slice(0, end);
}

function compileBody(config: Config, kit: Kit): Template {
  if (config.response_example !== undefined) return kit.template(config.response_example);
  const example = compileExample({ ...config.response_schema, type: 'object' }, kit);
  switch (mediaType(config.content_type)) {
    case 'application/xml':
    case 'text/xml':
      return (source) => exampleToXml(example(source), 'data');
    case 'text/html':
      kit.log.error('json schema body only support xml and json content type');
      return () => '';
    default:
      return (source) => JSON.stringify(example(source));
  }
}

export const mocking = definePlugin({
  name: 'mocking',
  summary: 'Answers with an example instead of asking the Upstream.',
  priority: 10900,
  config,
  check(config) {
    if (!MEDIA_TYPES.has(mediaType(config.content_type))) return 'unsupported content type!';
    if (config.response_status < 200 || config.response_status > 999) {
      return 'response_status must be between 200 and 999';
    }
  },
  create(config, kit) {
    const body = compileBody(config, kit);
    const fixed: [string, string][] = [['Content-Type', fieldValue(config.content_type)]];
    if (config.with_mock_header) fixed.push(['x-mock-by', 'Sluice']);
    const added = Object.entries(config.response_headers ?? {}).map(
      ([name, value]) => [name, kit.template(String(value))] as const,
    );

    const answer = (exchange: AccessExchange) => {
      const headers = fixed.slice();
      for (const [name, value] of added) headers.push([name, fieldValue(value(exchange))]);
      return reply(config.response_status, body(exchange), { headers, reason: 'mocking' });
    };
    if (config.delay <= 0) return { access: answer };
    return {
      async access(exchange) {
        await kit.delay(config.delay * 1000);
        return answer(exchange);
      },
    };
  },
});
