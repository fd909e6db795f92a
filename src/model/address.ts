import { type Schema, Type } from '../lib/schema.ts';

/** A host name, possibly with a leading `*`, or an IP address. */
export const HOST_PATTERN = '^\\*$|^\\*?[0-9a-zA-Z-._\\[\\]:]+$';

export const host = Type.String({ pattern: HOST_PATTERN });

const IPV4_PART = '([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])';
const IPV4 = [IPV4_PART, IPV4_PART, IPV4_PART, IPV4_PART].join('\\.');
// As lenient as APISIX's: `:/8` passes here and is refused where ranges are compiled.
const IPV6 = '([a-fA-F0-9]{0,4}:){1,8}(:[a-fA-F0-9]{0,4}){0,8}([a-fA-F0-9]{0,4})?';

/** An IPv4 or IPv6 address, or a range of them in CIDR form. */
export const addressRange: Schema<string> = Type.Unsafe({
  type: 'string',
  anyOf: [
    { title: 'IPv4', type: 'string', format: 'ipv4' },
    { title: 'IPv4/CIDR', type: 'string', pattern: `^${IPV4}/([12]?[0-9]|3[0-2])$` },
    { title: 'IPv6', type: 'string', format: 'ipv6' },
    { title: 'IPv6/CIDR', type: 'string', pattern: `^${IPV6}/[0-9]{1,3}$` },
  ],
});

export const clientAddress: Schema<string> = { ...addressRange, description: 'client IP' };

/** An absolute URL with a host. */
export const url = Type.String({ pattern: '^[^\\/]+:\\/\\/([\\da-zA-Z.-]+|\\[[\\da-fA-F:]+\\])(:\\d+)?' });
