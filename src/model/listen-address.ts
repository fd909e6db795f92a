import { IpSet } from '../lib/ip-range.ts';

/** An address to listen on. A `host` is a name or an IP address, an IPv6 one without brackets. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const LARGEST_PORT = 65_535;
const ADDRESS = /^(?:(?<host>\[[^[\]]*\]|[^[\]:]*):)?(?<port>[^:[\]]*)$/;

/**
 * Parses `host:port`, `[IPv6]:port`, `:port` or `port`; without a host it is `defaultHost`. Port 0
 * takes any free one. Throws an Error whose message names what is wrong.
 */
export function parseAddress(text: string, defaultHost = '0.0.0.0'): Address {
  const wrong = (what: string) => new Error(`invalid address ${JSON.stringify(text)}: ${what}`);
  if (text.trim() === '') throw wrong('it is empty; write host:port');
  const parts = ADDRESS.exec(text)?.groups;
  if (parts === undefined) {
    throw wrong(
      text.split(':').length > 2 && !text.includes('[')
        ? 'an IPv6 address must be in brackets, as in [::1]:9080'
        : 'write host:port',
    );
  }
  const host = parts.host ?? '';
  const { port } = parts;
  if (!/^\d+$/.test(port)) {
    throw wrong(
      parts.host === undefined
        ? 'the port is missing'
        : port === ''
          ? 'the port after the colon is missing'
          : `port ${JSON.stringify(port)} is not a number`,
    );
  }
  if (Number(port) > LARGEST_PORT) throw wrong(`port ${port} is greater than ${LARGEST_PORT}`);
  return { host: host === '' ? defaultHost : parseHost(host, wrong), port: Number(port) };
}

function parseHost(host: string, wrong: (what: string) => Error): string {
  if (host.startsWith('[')) {
    const address = host.slice(1, -1);
    if (!address.includes(':') || !isRange(address) || address.includes('/'))
      throw wrong(`${host} is not an IPv6 address`);
    return address;
  }
  if (!/^[a-zA-Z0-9._-]+$/.test(host))
    throw wrong(`host ${JSON.stringify(host)} has a character no host has`);
  if (/^[\d.]+$/.test(host) && (!isRange(host) || host.includes('/')))
    throw wrong(`${host} is not an IPv4 address`);
  return host;
}

function isRange(text: string): boolean {
  try {
    new IpSet([text]);
    return true;
  } catch {
    return false;
  }
}
