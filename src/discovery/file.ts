import { type FSWatcher, watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { getOwn, isObject } from '../lib/json.ts';
import { validate } from '../lib/json-schema.ts';
import { withHint } from '../lib/schema-check.ts';
import { type DiscoveredTarget, fileSettings } from '../model/discovery.ts';
import { checkNodes, type Nodes, nodes as nodesSchema, writtenTargets } from '../model/nodes.ts';
import {
  type Discovery,
  type DiscoveryListener,
  type DiscoverySurroundings,
  defineDiscovery,
} from './discovery.ts';

export const file = defineDiscovery({
  name: 'file',
  summary: 'Follows services that are written in a YAML or JSON file.',
  config: fileSettings,
  create: ({ path: written }, surroundings) =>
    new ServicesFile(path.resolve(surroundings.folder, written), surroundings),
});

/** How often it is looked at where the system doesn't tell of changes. */
const LOOK_MS = 1000;
/** For so long a file must stay the same before it is read: it may be half written. */
const SETTLE_MS = 20;

/** One file for all services. What is wrong with it as a whole leaves everything as it was. */
class ServicesFile implements Discovery {
  readonly #path: string;
  readonly #delay: DiscoverySurroundings['delay'];
  readonly #listeners = new Map<DiscoveryListener, string>();
  #services: ReadonlyMap<string, readonly DiscoveredTarget[]> | undefined;
  #problem: string | undefined;
  #signature: string | undefined;
  #stopped: AbortController | undefined;
  /** Ends the pause between two looks. */
  #wake: AbortController | undefined;

  constructor(file: string, { delay }: DiscoverySurroundings) {
    this.#path = file;
    this.#delay = delay;
  }

  watch(service: string, listener: DiscoveryListener): () => void {
    this.#listeners.set(listener, service);
    if (this.#stopped === undefined) void this.#follow((this.#stopped = new AbortController()));
    else this.#tell(listener, service);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#stopped?.abort();
      this.#wake?.abort();
      this.#stopped = this.#signature = undefined;
    };
  }

  async #follow({ signal }: AbortController): Promise<void> {
    const watcher = this.#watchFolder();
    while (!signal.aborted) {
      this.#wake = new AbortController();
      await this.#look(signal);
      await this.#delay(LOOK_MS, this.#wake.signal);
      // Whatever has changed may not be complete.
      if (this.#wake.signal.aborted && !signal.aborted) await this.#delay(SETTLE_MS, signal);
    }
    watcher?.close();
  }

  /** The folder, since editors put another file in its place. */
  #watchFolder(): FSWatcher | undefined {
    try {
      const watcher = watch(path.dirname(this.#path), { persistent: false }, () => this.#wake?.abort());
      return watcher.on('error', () => watcher.close());
    } catch {
      return undefined;
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    try {
      const { mtimeMs, size, ino } = await stat(this.#path);
      const signature = `${mtimeMs} ${size} ${ino}`;
      if (signature === this.#signature) return;
      this.#signature = signature;
      this.#services = await servicesIn(await readFile(this.#path, 'utf8'));
      this.#problem = undefined;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#problem = `${this.#path}: ${why.split('\n')[0]}`;
      // Once it is there again, it is news.
      if (why.startsWith('ENOENT')) this.#signature = undefined;
    }
    if (signal.aborted) return;
    for (const [listener, service] of this.#listeners) this.#tell(listener, service);
  }

  #tell(listener: DiscoveryListener, service: string): void {
    if (this.#services !== undefined) listener.onTargets(this.#services.get(service) ?? []);
    else if (this.#problem === undefined) return;
    listener.onTrouble(this.#problem);
  }
}

/** Throws for a text that says something else than services, with the way to what is wrong. */
async function servicesIn(text: string): Promise<ReadonlyMap<string, readonly DiscoveredTarget[]>> {
  const value = text.trimStart().startsWith('{') ? JSON.parse(text) : await parseYaml(text);
  const services = isObject(value) ? (getOwn(value, 'services') ?? {}) : undefined;
  if (!isObject(services)) throw new Error('services must be an object of nodes by name');
  return new Map(
    Object.entries(services).map(([name, nodes]) => {
      const wrong = validate(nodesSchema, nodes ?? {});
      const problem = wrong === undefined ? checkNodes(nodes as Nodes) : withHint(wrong);
      if (problem !== undefined) throw new Error(`services.${name}: ${problem}`);
      return [name, writtenTargets((nodes ?? {}) as Nodes)];
    }),
  );
}

async function parseYaml(text: string): Promise<unknown> {
  const { parse } = await import('yaml');
  return parse(text, { maxAliasCount: 100, logLevel: 'error' });
}
