// Which stream route a connection takes. As in APISIX a route with `sni` goes before those without;
// among routes of the same standing the one that says more goes first, so that the order in which
// they were made doesn't matter.

import { IpSet } from '../lib/ip-range.ts';

/** What a stream route asks of a connection; what is absent asks nothing. */
export interface StreamConditions {
  readonly id: string;
  /** A name, or one with a leading `*` for any beginning. */
  readonly sni?: string | undefined;
  /** Addresses or ranges. */
  readonly remoteAddress?: string | undefined;
  readonly serverAddress?: string | undefined;
  readonly serverPort?: number | undefined;
}

/** The ends of a connection. */
export interface StreamEnds {
  readonly clientAddress: string;
  readonly serverAddress: string;
  readonly serverPort: number;
}

interface Candidate<R> {
  readonly route: R;
  readonly remote: IpSet | undefined;
  readonly server: IpSet | undefined;
}

export class StreamRouter<R extends StreamConditions> {
  readonly #exact = new Map<string, Candidate<R>[]>();
  /** By what follows the `*`. */
  readonly #endings = new Map<string, Candidate<R>[]>();
  readonly #named: Candidate<R>[] = [];
  readonly #nameless: Candidate<R>[] = [];

  constructor(routes: Iterable<R>) {
    for (const route of [...routes].sort(moreSpecificFirst)) {
      const { remoteAddress: remote, serverAddress: server } = route;
      const candidate = {
        route,
        remote: remote === undefined ? undefined : new IpSet([remote]),
        server: server === undefined ? undefined : new IpSet([server]),
      };
      if (route.sni === undefined) this.#nameless.push(candidate);
      else {
        const sni = route.sni.toLowerCase();
        this.#named.push(candidate);
        if (sni.startsWith('*')) addTo(this.#endings, sni.slice(1), candidate);
        else addTo(this.#exact, sni, candidate);
      }
    }
  }

  /** Whether the name that a client asks for could matter for such a connection. */
  wantsServerName(ends: StreamEnds): boolean {
    return this.#named.some((candidate) => holds(candidate, ends));
  }

  match(ends: StreamEnds, serverName: string | undefined): R | undefined {
    if (serverName !== undefined) {
      const exact = first(this.#exact.get(serverName), ends);
      if (exact !== undefined) return exact;
      if (this.#endings.size > 0) {
        // The longest ending first; a `*` stands for one character at least.
        for (let start = 1; start <= serverName.length; start++) {
          const found = first(this.#endings.get(serverName.slice(start)), ends);
          if (found !== undefined) return found;
        }
      }
    }
    return first(this.#nameless, ends);
  }
}

function addTo<R>(lists: Map<string, Candidate<R>[]>, key: string, candidate: Candidate<R>): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [candidate]);
  else list.push(candidate);
}

function first<R extends StreamConditions>(
  candidates: readonly Candidate<R>[] | undefined,
  ends: StreamEnds,
): R | undefined {
  return candidates?.find((candidate) => holds(candidate, ends))?.route;
}

function holds(
  { route, remote, server }: Candidate<StreamConditions>,
  { clientAddress, serverAddress, serverPort }: StreamEnds,
): boolean {
  return (
    (route.serverPort === undefined || route.serverPort === serverPort) &&
    (remote === undefined || remote.has(clientAddress)) &&
    (server === undefined || server.has(serverAddress))
  );
}

function moreSpecificFirst(a: StreamConditions, b: StreamConditions): number {
  return (
    narrowness(b.remoteAddress) - narrowness(a.remoteAddress) ||
    narrowness(b.serverAddress) - narrowness(a.serverAddress) ||
    Number(b.serverPort !== undefined) - Number(a.serverPort !== undefined) ||
    (a.id < b.id ? -1 : 1)
  );
}

/** How much of an address a range fixes, from -1 for no range to 1 for one address. */
function narrowness(range: string | undefined): number {
  if (range === undefined) return -1;
  const [address, prefix] = range.split('/');
  return prefix === undefined ? 1 : Number(prefix) / (address.includes(':') ? 128 : 32);
}
