import { isFieldName } from '../../lib/field-name.ts';
import { type Static, Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { slot } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { characters, ksuid, uuid } from './identifiers.ts';

// APISIX's own set, where G stands twice and J is missing, so that ids look the same.
const RANGE_CHARACTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIGKLMNOPQRSTUVWXYZ0123456789';
const NANOID_CHARACTERS = 'ModuleSymbhasOwnPr-0123456789ABCDEFGHNRVfgctiUvz_KqYTJkLxpZXIjQW';
const NANOID_LENGTH = 21;

const config = Type.Object({
  header_name: Type.String({
    default: 'X-Request-Id',
    description: 'The header field with the id. A request that brings one keeps it.',
  }),
  include_in_response: Type.Boolean({
    default: true,
    description: "Put the id into the response too, unless the Upstream's has one.",
  }),
  algorithm: Type.Enum(['uuid', 'nanoid', 'range_id', 'ksuid'], {
    default: 'uuid',
    description:
      'How an id is made: a random UUID, a NanoID of 21 characters, characters of your choice, or a KSUID that sorts by time.',
  }),
  range_id: Type.Object(
    {
      length: Type.Integer({ minimum: 6, default: 16, description: 'Characters in an id.' }),
      char_set: Type.String({
        minLength: 6,
        default: RANGE_CHARACTERS,
        description: 'The characters to choose from.',
      }),
    },
    {
      default: { length: 16, char_set: RANGE_CHARACTERS },
      description: 'What ids of the algorithm `range_id` look like.',
    },
  ),
});

/** Linked, since the same Plugin may be bound twice with different header names. */
interface RequestId {
  readonly header: string;
  readonly id: string;
  readonly next: RequestId | undefined;
}

const requestIdSlot = slot<RequestId>('request-id');

export const requestId = definePlugin({
  name: 'request-id',
  summary: 'Gives each request an id that Upstream and client see.',
  priority: 12015,
  config,
  check: ({ header_name, range_id }) => {
    if (!isFieldName(header_name)) return `invalid header name: ${header_name}`;
    return /^[\x21-\x7e]+$/.test(range_id.char_set)
      ? undefined
      : 'range_id.char_set may hold visible ASCII characters only';
  },
  create(config, kit) {
    const name = config.header_name;
    const lowerName = name.toLowerCase();
    const newId = generator(config, kit);
    return {
      rewrite(exchange) {
        let id = exchange.request.header(lowerName);
        if (id === undefined || id === '') {
          id = newId();
          exchange.request.setHeader(name, id);
        }
        exchange.setVariable('apisix_request_id', id);
        if (config.include_in_response) {
          exchange.set(requestIdSlot, { header: lowerName, id, next: exchange.get(requestIdSlot) });
        }
      },
      ...(config.include_in_response && {
        responseHeaders(exchange) {
          if (exchange.response.header(lowerName)) return;
          let found = exchange.get(requestIdSlot);
          while (found !== undefined && found.header !== lowerName) found = found.next;
          if (found !== undefined) exchange.response.setHeader(name, found.id);
        },
      }),
    };
  },
});

function generator({ algorithm, range_id: range }: Static<typeof config>, kit: Kit): () => string {
  switch (algorithm) {
    case 'uuid':
      return () => uuid(kit);
    case 'nanoid':
      return () => characters(kit, NANOID_CHARACTERS, NANOID_LENGTH);
    case 'range_id':
      return () => characters(kit, range.char_set, range.length);
    case 'ksuid':
      return () => ksuid(kit);
  }
}
