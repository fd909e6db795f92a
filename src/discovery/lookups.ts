import { promises as dns } from 'node:dns';

/** One address record. */
export interface AddressRecord {
  readonly address: string;
  /** Seconds. */
  readonly ttl: number;
}

/** The ways out of the process by which a Resolver asks; tests put their own in place. */
export interface Lookups {
  /** Asks the name servers for A (4) or AAAA (6) records. Rejects when there are none. */
  query(host: string, family: 4 | 6): Promise<readonly AddressRecord[]>;
  /** Asks the operating system, with its search domains and nsswitch.conf. Rejects when it knows none. */
  system(host: string): Promise<readonly string[]>;
  /** Gives up what is under way. */
  cancel(): void;
}

export interface NameServerOptions {
  /** `address` or `address:port`; the system's (resolv.conf) by default. */
  readonly servers?: readonly string[];
  readonly timeoutMs?: number;
  readonly tries?: number;
}

// The operating system's lookup occupies a thread of the pool that files use too, for as long as its
// name servers keep silent. Two at a time leave room.
const MOST_SYSTEM_LOOKUPS = 2;

/** Lookups by c-ares, which waits on sockets, and by getaddrinfo. */
export class NetworkLookups implements Lookups {
  readonly #resolver: dns.Resolver;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: NameServerOptions = {}) {
    this.#resolver = new dns.Resolver({ timeout: options.timeoutMs ?? 2000, tries: options.tries ?? 2 });
    if (options.servers !== undefined) this.#resolver.setServers(options.servers);
  }

  query(host: string, family: 4 | 6): Promise<readonly AddressRecord[]> {
    return family === 4
      ? this.#resolver.resolve4(host, { ttl: true })
      : this.#resolver.resolve6(host, { ttl: true });
  }

  async system(host: string): Promise<readonly string[]> {
    // Whoever leaves hands its place on to the next in line.
    if (this.#running < MOST_SYSTEM_LOOKUPS) this.#running++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      const found = await dns.lookup(host, { all: true, order: 'ipv4first' });
      const first = found[0].family;
      return found.filter((one) => one.family === first).map((one) => one.address);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  cancel(): void {
    this.#resolver.cancel();
  }
}
