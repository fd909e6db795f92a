import { IpSet } from '../../lib/ip-range.ts';
import { Type } from '../../lib/schema.ts';
import { addressList, addressListProblem } from '../../plugin/address-schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import type { AccessExchange, ConnectionView } from '../../plugin/exchange.ts';
import { type Reply, reply } from '../../plugin/reply.ts';

export const ipRestriction = definePlugin({
  name: 'ip-restriction',
  summary: 'Allows or refuses requests by the client address.',
  priority: 3000,
  streams: true,
  config: Type.Object(
    {
      whitelist: Type.Optional(addressList('Addresses and ranges that are allowed; all others are refused.')),
      blacklist: Type.Optional(addressList('Addresses and ranges that are refused; all others are allowed.')),
      message: Type.String({
        minLength: 1,
        maxLength: 1024,
        default: 'Your IP address is not allowed',
        description: 'Message of the answer to who is refused.',
      }),
      response_code: Type.Integer({
        minimum: 403,
        maximum: 404,
        default: 403,
        description: 'Status of the answer to who is refused.',
      }),
    },
    { oneOf: [{ required: ['whitelist'] }, { required: ['blacklist'] }] },
  ),
  check: ({ whitelist, blacklist }) => addressListProblem(whitelist) ?? addressListProblem(blacklist),
  create({ whitelist, blacklist, message, response_code: status }) {
    const list = new IpSet(whitelist ?? blacklist ?? []);
    const listed = whitelist !== undefined;
    const refused = reply(status, { message }, { reason: 'ip_restriction' });
    const decide = ({ request }: ConnectionView | AccessExchange): Reply | undefined =>
      list.has(request.clientAddress) === listed ? undefined : refused;
    return { access: decide, connect: decide };
  },
});
