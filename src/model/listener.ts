import { type Static, Type } from '../lib/schema.ts';
import { type Address, parseAddress } from './listen-address.ts';

/** What is spoken on a Listener's connections. */
export type ListenerProtocol = 'http' | 'tcp' | 'udp';

/** A Listener as the declarative file writes it. */
export const listener = Type.Object(
  {
    address: Type.String({
      description: 'Where traffic is accepted: `host:port`, an IPv6 address in brackets.',
      minLength: 1,
    }),
    protocol: Type.Optional(
      Type.Enum(['http', 'tcp', 'udp'], {
        description: '`http` (the default) for Routes; `tcp` and `udp` for stream routes.',
      }),
    ),
    tls: Type.Optional(
      Type.Boolean({ description: 'Whether clients speak TLS; certificates come from the SSLs.' }),
    ),
    http2: Type.Optional(
      Type.Boolean({
        description:
          'Whether HTTP/2 is accepted besides HTTP/1.1. With `tls` it is unless this is false; without, only from clients that begin with it.',
      }),
    ),
    proxy_protocol: Type.Optional(
      Type.Boolean({
        description:
          'Whether each connection begins with a PROXY protocol header, v1 or v2. Only `trusted_addresses` may connect then.',
      }),
    ),
  },
  { additionalProperties: false, description: 'An address on which traffic is accepted.' },
);

/** A Listener with everything decided. */
export interface Listener extends Address {
  readonly protocol: ListenerProtocol;
  readonly tls: boolean;
  readonly http2: boolean;
  readonly proxyProtocol: boolean;
}

/** How a Listener's socket comes to be. */
export interface Sharing {
  /** Others listen on the same port, and the system spreads connections. */
  readonly reusePort?: boolean;
  /** A socket that listens there already, from the process before this one. */
  readonly fd?: number | undefined;
}

/** What doesn't go together in a Listener. `trusting`: there are `trusted_addresses`. */
export function listenerProblem(
  { protocol = 'http', tls, http2, proxy_protocol }: Static<typeof listener>,
  trusting: boolean,
): { readonly field: string; readonly message: string } | undefined {
  if (protocol !== 'http' && http2 === true)
    return { field: 'http2', message: `a listener for ${protocol} speaks no HTTP/2; leave it out` };
  if (protocol === 'udp' && tls === true)
    return { field: 'tls', message: 'there is no TLS on udp; leave it out' };
  if (proxy_protocol !== true) return undefined;
  if (protocol === 'udp')
    return { field: 'proxy_protocol', message: 'the PROXY protocol is not taken on udp; leave it out' };
  if (!trusting) {
    return {
      field: 'proxy_protocol',
      message: 'nobody could connect: say in trusted_addresses who may send the header',
    };
  }
  return undefined;
}

/** Fills in what was left out. Throws an Error where the address is none. */
export function resolveListener(written: Static<typeof listener>): Listener {
  const {
    address,
    protocol = 'http',
    tls = false,
    http2 = tls,
    proxy_protocol: proxyProtocol = false,
  } = written;
  return { ...parseAddress(address), protocol, tls, http2, proxyProtocol };
}
