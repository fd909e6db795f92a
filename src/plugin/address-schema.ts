import { isIpRange } from '../lib/ip-range.ts';
import { type Schema, Type } from '../lib/schema.ts';
import { addressRange } from '../model/address.ts';

/** A list of addresses and CIDR ranges, IPv4 or IPv6. */
export function addressList(description: string): Schema<readonly string[]> {
  return Type.Array(addressRange, { minItems: 1, description });
}

/** APISIX's text for the first entry that is neither an address nor a range, or undefined. */
export function addressListProblem(list: readonly string[] | undefined): string | undefined {
  const bad = list?.find((entry) => !isIpRange(entry));
  return bad === undefined ? undefined : `invalid ip address: ${bad}`;
}
