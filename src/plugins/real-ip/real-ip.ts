import { isIP } from 'node:net';
import { IpSet } from '../../lib/ip-range.ts';
import { Type } from '../../lib/schema.ts';
import { addressList, addressListProblem } from '../../plugin/address-schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import type { RewriteExchange } from '../../plugin/exchange.ts';

export const realIp = definePlugin({
  name: 'real-ip',
  summary: 'Takes the client address from a header or another variable.',
  priority: 23000,
  config: Type.Object({
    source: Type.String({
      minLength: 1,
      description:
        'The variable that holds the address, with or without a port: `http_x_forwarded_for`, `http_x_real_ip`, `arg_realip`…',
    }),
    trusted_addresses: Type.Optional(
      addressList(
        'Proxies whose word is taken: the source counts only for requests that come from one of them. When absent, it counts for everyone.',
      ),
    ),
    recursive: Type.Boolean({
      default: false,
      description:
        'With `http_x_forwarded_for` and `trusted_addresses`: take the last address that is not trusted, instead of the last.',
    }),
  }),
  check: ({ trusted_addresses }) => addressListProblem(trusted_addresses),
  create({ source, trusted_addresses: addresses, recursive }, kit) {
    const trusted = addresses && new IpSet(addresses);
    const variable = kit.variable(source);

    const forwarded = (exchange: RewriteExchange): string | undefined => {
      const values = exchange.request.headerValues('x-forwarded-for');
      if (values.length === 0) return undefined;
      // Each proxy appends; so several fields are one list, and the nearest hop stands last.
      const hops = values.join(',').split(',');
      let index = hops.length - 1;
      if (recursive && trusted !== undefined) {
        while (index > 0 && trusted.has(parseHop(hops[index])?.address ?? '')) index--;
      }
      return hops[index];
    };

    return {
      rewrite(exchange) {
        if (trusted !== undefined && !trusted.has(exchange.request.clientAddress)) return;
        const text = source === 'http_x_forwarded_for' ? forwarded(exchange) : variable(exchange);
        if (text === undefined) return;
        const hop = parseHop(text);
        if (hop !== undefined) exchange.setClientAddress(hop.address, hop.port);
      },
    };
  },
});

interface Hop {
  readonly address: string;
  readonly port: number | undefined;
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`. */
const BRACKETED = /^\[([0-9a-fA-F:.]+)\](?::(\d{1,5}))?$/;
const WITH_PORT = /^([0-9.]+):(\d{1,5})$/;

function parseHop(text: string): Hop | undefined {
  const trimmed = text.trim();
  if (isIP(trimmed) !== 0) return { address: trimmed, port: undefined };
  const bracketed = BRACKETED.exec(trimmed);
  const parts = bracketed ?? WITH_PORT.exec(trimmed);
  if (parts === null || isIP(parts[1]) !== (bracketed === null ? 4 : 6)) return undefined;
  if (parts[2] === undefined) return { address: parts[1], port: undefined };
  const port = Number(parts[2]);
  return port >= 1 && port <= 65535 ? { address: parts[1], port } : undefined;
}
