import { readFile, stat } from 'node:fs/promises';
import { isIPv4, isIPv6 } from 'node:net';

/** A hosts file (hosts(5)), read again when its modification time changes. */
export class HostsFile {
  readonly #path: string;
  #modifiedAt = -1;
  #names: ReadonlyMap<string, readonly string[]> = new Map();

  constructor(path = '/etc/hosts') {
    this.#path = path;
  }

  /** The addresses of a name in lower case, IPv4 if there are any; undefined when the file doesn't know it or isn't there. */
  async find(name: string): Promise<readonly string[] | undefined> {
    try {
      const { mtimeMs } = await stat(this.#path);
      if (mtimeMs !== this.#modifiedAt) {
        this.#names = parseHosts(await readFile(this.#path, 'utf8'));
        this.#modifiedAt = mtimeMs;
      }
    } catch {
      this.#modifiedAt = -1;
      this.#names = new Map();
    }
    const addresses = this.#names.get(name);
    if (addresses === undefined) return undefined;
    const narrow = addresses.filter((address) => isIPv4(address));
    return narrow.length > 0 ? narrow : addresses;
  }
}

/** Names in lower case with their addresses, in order; lines that make no sense are skipped. */
export function parseHosts(text: string): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (!isIPv4(address) && !isIPv6(address)) continue;
    for (const alias of aliases) {
      const name = alias.toLowerCase();
      const addresses = names.get(name);
      if (addresses === undefined) names.set(name, [address]);
      else if (!addresses.includes(address)) addresses.push(address);
    }
  }
  return names;
}
