import { isIP } from 'node:net';
import { validate } from '../lib/json-schema.ts';
import { type Static, Type } from '../lib/schema.ts';
import { type AdminReply, errorReply } from './admin-reply.ts';
import type { ExtensionRequest } from './admin-server.ts';
import { parseJson } from './body.ts';

/** What to explain; the body of `POST /apisix/admin/explain`. */
export const explainRequest = Type.Object(
  {
    method: Type.Optional(Type.String({ description: 'GET when absent.', minLength: 1 })),
    url: Type.String({
      description: '`https://host/path?query`, or a path alone with the host in `headers`.',
      minLength: 1,
    }),
    headers: Type.Optional(
      Type.Unsafe<Readonly<Record<string, string | readonly string[]>>>({
        type: 'object',
        description: 'Header fields; a list for several fields of one name.',
        additionalProperties: {
          anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }],
        },
      }),
    ),
    body: Type.Optional(Type.String({ description: 'The body, as text.' })),
    client: Type.Optional(
      Type.String({ description: 'The IP address that the request comes from; 127.0.0.1 when absent.' }),
    ),
    now: Type.Optional(Type.Number({ description: 'Unix milliseconds; the present when absent.' })),
    seed: Type.Optional(
      Type.Integer({ description: 'Determines what is random, and whose turn it is; 0 when absent.' }),
    ),
  },
  { additionalProperties: false },
);

/** A request to explain, its header as a list. */
export interface ExplainRequest extends Omit<Static<typeof explainRequest>, 'headers'> {
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** Says what would become of a request. Rejects with a TypeError for one that no client could send. */
export type Explain = (request: ExplainRequest) => Promise<Readonly<Record<string, unknown>>>;

/** Answers `POST /apisix/admin/explain`. */
export function explainEndpoint(explain: Explain): (request: ExtensionRequest) => Promise<AdminReply> {
  return async ({ method, segments, body }) => {
    if (method !== 'POST' || segments.length > 0) return errorReply(404, 'not found');
    const parsed = parseJson(body);
    if (!parsed.ok) return parsed.reply;
    const wrong = validate(explainRequest, parsed.value ?? {});
    if (wrong !== undefined) return errorReply(400, `invalid request to explain: ${wrong.message}`);
    const { headers = {}, ...rest } = parsed.value as Static<typeof explainRequest>;
    if (rest.client !== undefined && isIP(rest.client) === 0)
      return errorReply(400, 'invalid request to explain: client must be an IP address');
    const fields = Object.entries(headers).flatMap(([name, value]) =>
      (typeof value === 'string' ? [value] : value).map((one) => [name, one] as const),
    );
    try {
      return { status: 200, body: await explain({ ...rest, headers: fields }) };
    } catch (error) {
      if (error instanceof TypeError) return errorReply(400, `invalid request to explain: ${error.message}`);
      throw error;
    }
  };
}
