// Which certificate answers to which name, live from the Snapshot: replaced SSLs serve the next
// handshake, and connections that stand keep theirs.

import type { Resource } from '../model/resource.ts';
import type { Ssl } from '../model/ssl.ts';
import type { Challenge, TlsMaterial } from '../model/tls-material.ts';
import type { Logger } from '../plugin/kit.ts';
import { type IdentitySource, type ServerIdentity, serverIdentity } from './server-identity.ts';

/** Where SSLs come from. */
export interface SslSource {
  list(kind: 'ssls'): Iterable<Resource>;
}

/** A certificate by where it comes from; made an identity when a client first asks for it. */
interface Entry {
  readonly id: string;
  readonly source: IdentitySource;
}

export interface ServerCertificatesOptions {
  readonly ssls: SslSource;
  /** The name of clients that name nobody. */
  readonly fallbackSni: string | undefined;
  readonly material: TlsMaterial;
  readonly log: Logger;
}

export class ServerCertificates {
  readonly #options: ServerCertificatesOptions;
  #material: TlsMaterial;
  #stale = true;
  #exact = new Map<string, Entry>();
  /** `*.example.com` by `.example.com`. */
  #wildcards = new Map<string, Entry>();
  /** What else begins with a `*`, by what follows it. */
  #suffixes: [suffix: string, entry: Entry][] = [];
  #any: Entry | undefined;
  #asksClients = false;
  /** By the configured value, which is replaced when it is changed. */
  readonly #identities = new WeakMap<object, ServerIdentity | null>();

  constructor(options: ServerCertificatesOptions) {
    this.#options = options;
    this.#material = options.material;
  }

  /** SSLs have changed. */
  refresh(): void {
    this.#stale = true;
  }

  /** Goes on with other keys, challenges and certificates of our own. */
  useMaterial(material: TlsMaterial): void {
    this.#material = material;
    this.#stale = true;
  }

  get ticketKeys(): Uint8Array {
    return this.#material.ticketKeys;
  }

  /** Whether any SSL wants certificates of clients. */
  get asksClients(): boolean {
    this.#build();
    return this.#asksClients;
  }

  /** Who answers to a name, or to a client that names nobody. undefined: nobody does. */
  find(serverName: string | undefined): ServerIdentity | undefined {
    this.#build();
    const name = serverName ?? this.#options.fallbackSni;
    const entry = name === undefined ? this.#any : this.#match(name);
    return entry && this.#identityOf(entry);
  }

  /** What proves to a certificate authority that a name is ours. */
  challenge(serverName: string | undefined): Extract<Challenge, { type: 'tls-alpn-01' }> | undefined {
    for (const challenge of this.#material.challenges) {
      if (challenge.type === 'tls-alpn-01' && challenge.name === serverName) return challenge;
    }
    return undefined;
  }

  #match(name: string): Entry | undefined {
    const exact = this.#exact.get(name);
    if (exact !== undefined) return exact;
    // A `*` stands for one label, not for several.
    const dot = name.indexOf('.');
    const wildcard = dot > 0 ? this.#wildcards.get(name.slice(dot)) : undefined;
    if (wildcard !== undefined) return wildcard;
    for (const [suffix, entry] of this.#suffixes) {
      if (name.length > suffix.length && name.endsWith(suffix)) {
        if (!name.slice(0, -suffix.length).includes('.')) return entry;
      }
    }
    return this.#any;
  }

  #build(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.#exact = new Map();
    this.#wildcards = new Map();
    this.#suffixes = [];
    this.#any = undefined;
    this.#asksClients = false;
    // The later one wins: what an operator configures over what we got ourselves, the newer over the older.
    for (const one of this.#material.certificates) this.#add(one.snis, { id: one.id, source: one });
    for (const { id, value } of this.#options.ssls.list('ssls')) {
      const ssl = value as unknown as Ssl;
      if (ssl.type === 'client' || ssl.status === 0) continue;
      this.#add(ssl.snis ?? [ssl.sni ?? ''], { id, source: ssl });
      if (ssl.client !== undefined) this.#asksClients = true;
    }
  }

  #add(names: readonly string[], entry: Entry): void {
    for (const written of names) {
      const name = written.toLowerCase().replace(/\.$/, '');
      if (name === '*') this.#any = entry;
      else if (name.startsWith('*.')) this.#wildcards.set(name.slice(1), entry);
      else if (name.startsWith('*')) this.#suffixes.unshift([name.slice(1), entry]);
      else this.#exact.set(name, entry);
    }
  }

  #identityOf({ id, source }: Entry): ServerIdentity | undefined {
    let identity = this.#identities.get(source);
    if (identity === undefined) {
      try {
        identity = serverIdentity(id, source);
      } catch (error) {
        // It was checked when it was written; a handshake fails rather than the worker.
        this.#options.log.error(`ssl ${id} can't be used: ${String(error)}`);
        identity = null;
      }
      this.#identities.set(source, identity);
    }
    return identity ?? undefined;
  }
}
