import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

export interface AccessOptions {
  /** Addresses and CIDR ranges that may connect. */
  readonly allow?: readonly string[];
  /** Host names, besides `localhost` and IP addresses, under which the Admin API may be asked. */
  readonly hostNames?: readonly string[];
}

const LOOPBACK = ['127.0.0.0/24', '::1/128'];

/** Who may talk to the Admin API at all, before any key is looked at. */
export class Access {
  readonly #allowed = new BlockList();
  readonly #hostNames: ReadonlySet<string>;

  constructor({ allow = LOOPBACK, hostNames = [] }: AccessOptions) {
    for (const range of allow) this.#allow(range);
    this.#hostNames = new Set(['localhost', ...hostNames.map((name) => name.toLowerCase())]);
  }

  /** Whether the peer's address is among those allowed. */
  allowsPeer(request: IncomingMessage): boolean {
    const address = plainAddress(request.socket.remoteAddress ?? '');
    const version = isIP(address);
    return version !== 0 && this.#allowed.check(address, version === 4 ? 'ipv4' : 'ipv6');
  }

  /**
   * Whether the Host field names this place. On loopback, a page from anywhere can make a browser
   * connect here under a name of its own (DNS rebinding); only its Host field gives it away.
   */
  allowsHost(request: IncomingMessage): boolean {
    const local = plainAddress(request.socket.localAddress ?? '');
    if (!local.startsWith('127.') && local !== '::1') return true;
    const host = (request.headers.host ?? '').toLowerCase();
    const name = host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:\d*$/, '');
    return isIP(name) !== 0 || this.#hostNames.has(name);
  }

  #allow(range: string): void {
    const [address, bits] = range.split('/');
    const version = isIP(address);
    if (version === 0) throw new RangeError(`not an address or CIDR range: ${range}`);
    const family = version === 4 ? 'ipv4' : 'ipv6';
    if (bits === undefined) this.#allowed.addAddress(address, family);
    else this.#allowed.addSubnet(address, Number(bits), family);
  }
}

/** An IPv4 address that came in through an IPv6 socket, in its own form. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
