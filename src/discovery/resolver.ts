import { isIP } from 'node:net';
import { HostsFile } from './hosts-file.ts';
import { type Lookups, NetworkLookups } from './lookups.ts';

export type OnChange = (host: string, addresses: readonly string[]) => void;

export interface ResolverOptions {
  readonly lookups?: Lookups;
  readonly hostsFile?: string;
  /** Bounds of how long an answer is used before it is asked for again, in ms. */
  readonly shortestMs?: number;
  readonly longestMs?: number;
  /** For answers that come without a TTL: the hosts file's and the operating system's, in ms. */
  readonly defaultMs?: number;
  /** First pause after a failure, in ms; it doubles up to `longestRetryMs`. */
  readonly retryMs?: number;
  readonly longestRetryMs?: number;
  /** Monotonic ms. */
  readonly now?: () => number;
}

interface Answer {
  readonly addresses: readonly string[];
  readonly lifeMs: number;
}

/** What is known of one name. */
class Name {
  readonly host: string;
  readonly watchers = new Set<OnChange>();
  /** The last good ones, sorted, so that a name server that turns them around changes nothing. */
  addresses: readonly string[] | undefined;
  /** When to ask again: the answer's end, or the end of the pause after a failure. */
  askAt = Number.NEGATIVE_INFINITY;
  failures = 0;
  error: Error | undefined;
  inFlight: Promise<readonly string[]> | undefined;
  timer: NodeJS.Timeout | undefined;

  constructor(host: string) {
    this.host = host;
  }
}

/** From this many names on, those are forgotten that nobody watches and whose answer has ended. */
const PRUNE_FROM = 1000;

/**
 * Addresses of Targets' host names: from the hosts file, else from the name servers with their TTL,
 * else from the operating system. IPv4 addresses, or IPv6 ones where a name has no other. An IP
 * address is its own address.
 *
 * The last good addresses stay in use while resolution fails, whatever the failure; it is tried
 * again after a pause that doubles. At most one question per name is under way, and nothing here
 * waits for an answer but `resolve`.
 */
export class Resolver {
  readonly #names = new Map<string, Name>();
  readonly #lookups: Lookups;
  readonly #hosts: HostsFile;
  readonly #options: Required<Omit<ResolverOptions, 'lookups' | 'hostsFile'>>;
  #closed = false;
  #pruneFrom = PRUNE_FROM;

  constructor(options: ResolverOptions = {}) {
    this.#lookups = options.lookups ?? new NetworkLookups();
    this.#hosts = new HostsFile(options.hostsFile);
    this.#options = {
      shortestMs: options.shortestMs ?? 1000,
      longestMs: options.longestMs ?? 3_600_000,
      defaultMs: options.defaultMs ?? 10_000,
      retryMs: options.retryMs ?? 1000,
      longestRetryMs: options.longestRetryMs ?? 15_000,
      now: options.now ?? (() => performance.now()),
    };
  }

  /**
   * Keeps a name's addresses fresh until the returned function is called. `onChange` hears of the
   * first answer, unless it is known already, and of each one that differs; it must not throw.
   */
  watch(host: string, onChange: OnChange): () => void {
    if (isIP(host) !== 0) return () => {};
    const name = this.#name(host);
    // The same function may be given twice; each watch is released on its own.
    const watcher: OnChange = (...change) => onChange(...change);
    name.watchers.add(watcher);
    if (name.timer === undefined && name.inFlight === undefined) this.#schedule(name);
    return () => {
      name.watchers.delete(watcher);
      // The name is kept for a while: a reload often releases a name just before it watches it again.
      if (name.watchers.size > 0) return;
      clearTimeout(name.timer);
      name.timer = undefined;
    };
  }

  /** The addresses as known now: the last good ones; undefined when there never were any. */
  addresses(host: string): readonly string[] | undefined {
    if (isIP(host) !== 0) return [host];
    return this.#names.get(host.toLowerCase())?.addresses;
  }

  /**
   * The addresses, asked for if need be. Rejects when none were ever found: at once while the pause
   * after a failure lasts.
   */
  resolve(host: string): Promise<readonly string[]> {
    if (isIP(host) !== 0) return Promise.resolve([host]);
    const name = this.#name(host);
    if (this.#options.now() < name.askAt) {
      if (name.addresses !== undefined) return Promise.resolve(name.addresses);
      return Promise.reject(name.error);
    }
    return this.#ask(name);
  }

  /** Stops all questions; nothing is called back after this. */
  close(): void {
    this.#closed = true;
    for (const name of this.#names.values()) {
      clearTimeout(name.timer);
      name.watchers.clear();
    }
    this.#names.clear();
    this.#lookups.cancel();
  }

  #name(host: string): Name {
    const key = host.toLowerCase();
    let name = this.#names.get(key);
    if (name === undefined) {
      if (this.#names.size >= this.#pruneFrom) this.#prune();
      this.#names.set(key, (name = new Name(key)));
    }
    return name;
  }

  #prune(): void {
    const now = this.#options.now();
    for (const [key, name] of this.#names)
      if (name.watchers.size === 0 && name.inFlight === undefined && name.askAt <= now)
        this.#names.delete(key);
    this.#pruneFrom = Math.max(PRUNE_FROM, 2 * this.#names.size);
  }

  #schedule(name: Name): void {
    clearTimeout(name.timer);
    name.timer = undefined;
    if (this.#closed || name.watchers.size === 0) return;
    const pause = name.askAt - this.#options.now();
    const ask = () => {
      name.timer = undefined;
      this.#ask(name).catch(() => {});
    };
    if (pause <= 0) ask();
    else name.timer = setTimeout(ask, pause).unref();
  }

  #ask(name: Name): Promise<readonly string[]> {
    name.inFlight ??= this.#find(name.host).then(
      (answer) => this.#succeed(name, answer),
      (error: unknown) => this.#fail(name, error),
    );
    return name.inFlight;
  }

  #succeed(name: Name, answer: Answer): readonly string[] {
    const { now, shortestMs, longestMs } = this.#options;
    const addresses = [...new Set(answer.addresses)].sort();
    const changed = name.addresses?.join() !== addresses.join();
    if (changed) name.addresses = addresses;
    name.failures = 0;
    name.askAt = now() + Math.min(longestMs, Math.max(shortestMs, answer.lifeMs));
    name.inFlight = undefined;
    this.#schedule(name);
    if (changed) for (const watcher of [...name.watchers]) watcher(name.host, addresses);
    return name.addresses ?? addresses;
  }

  #fail(name: Name, error: unknown): readonly string[] {
    const { now, retryMs, longestRetryMs } = this.#options;
    name.askAt = now() + Math.min(longestRetryMs, retryMs * 2 ** Math.min(name.failures++, 30));
    name.error = new Error(`no address found for ${name.host}`, { cause: error });
    name.inFlight = undefined;
    this.#schedule(name);
    if (name.addresses !== undefined) return name.addresses;
    throw name.error;
  }

  async #find(host: string): Promise<Answer> {
    const { defaultMs } = this.#options;
    const listed = await this.#hosts.find(host);
    if (listed !== undefined) return { addresses: listed, lifeMs: defaultMs };
    for (const family of [4, 6] as const) {
      try {
        const records = await this.#lookups.query(host, family);
        if (records.length === 0) continue;
        const ttl = Math.min(...records.map((record) => record.ttl));
        return { addresses: records.map((record) => record.address), lifeMs: ttl * 1000 };
      } catch (error) {
        // Servers that don't answer for one family won't for the other; the system may know others.
        if (!isAbsence(error)) break;
      }
    }
    const addresses = await this.#lookups.system(host);
    if (addresses.length === 0) throw new Error('the system knows no address');
    return { addresses, lifeMs: defaultMs };
  }
}

/** Whether name servers said that there is no such record, as opposed to saying nothing. */
function isAbsence(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENODATA' || code === 'ENOTFOUND';
}
