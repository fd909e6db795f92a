import { isIpRange } from '../lib/ip-range.ts';
import { type Schema, Type } from '../lib/schema.ts';

const ADDRESS_FORMS = {
  anyOf: [
    { title: 'IPv4', type: 'string', format: 'ipv4' },
    {
      title: 'IPv4/CIDR',
      type: 'string',
      pattern: '^([0-9]{1,3}\\.){3}[0-9]{1,3}/([12]?[0-9]|3[0-2])$',
    },
    { title: 'IPv6', type: 'string', format: 'ipv6' },
    {
      title: 'IPv6/CIDR',
      type: 'string',
      pattern: '^([a-fA-F0-9]{0,4}:){1,8}(:[a-fA-F0-9]{0,4}){0,8}([a-fA-F0-9]{0,4})?/[0-9]{1,3}$',
    },
  ],
};

/** A list of addresses and CIDR ranges, IPv4 or IPv6. */
export function addressList(description: string): Schema<readonly string[]> {
  return Type.Array(Type.Unsafe<string>(ADDRESS_FORMS), { minItems: 1, description });
}

/** APISIX's text for the first entry that is neither an address nor a range, or undefined. */
export function addressListProblem(list: readonly string[] | undefined): string | undefined {
  const bad = list?.find((entry) => !isIpRange(entry));
  return bad === undefined ? undefined : `invalid ip address: ${bad}`;
}
