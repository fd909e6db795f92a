import type { Cache, CacheEntry, Purge } from '../../plugin/cache.ts';
import { MemoryBodies } from './cache-bodies.ts';
import type { CacheChannel, CacheMessage, SharedEntry } from './cache-message.ts';

/** Workers that have not used a zone yet don't answer. */
const PATIENCE_MS = 200;

interface Question<T> {
  readonly answers: T[];
  settle(): void;
}

/** The workers' zones, seen from a thread that stores nothing itself. */
export class ObservedCaches {
  readonly #channel: CacheChannel;
  readonly #workers: number;
  readonly #names: ReadonlySet<string>;
  readonly #finds = new Map<number, Question<readonly SharedEntry[]>>();
  readonly #purges = new Map<number, Question<number>>();
  #serial = 0;

  constructor(channel: CacheChannel, names: Iterable<string>, workers: number) {
    this.#channel = channel;
    this.#workers = workers;
    this.#names = new Set(names);
    for (const name of this.#names) channel.listen(name, (message) => this.#hear(message));
  }

  has(zone: string): boolean {
    return this.#names.has(zone);
  }

  /** A zone to look into; undefined when there is none of that name. */
  zone(name: string): Cache | undefined {
    if (!this.has(name)) return undefined;
    return {
      name,
      maxBodyBytes: 0,
      find: (resource, partition) => this.#find(name, resource, partition),
      body: (entry) => bodyOf(entry as SharedEntry),
      put() {},
      refresh() {},
      remove() {},
      purge: (what) => this.purge(name, what),
      depart: () => 'nobody',
      land() {},
      landed: () => Promise.resolve(),
    };
  }

  /** Forgets entries on all workers; resolves with how many there were. */
  async purge(zone: string, what: Purge): Promise<number> {
    const counts = await this.#ask(this.#purges, (question) => ({
      zone,
      type: 'purge',
      what,
      at: Date.now(),
      question,
    }));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #find(zone: string, resource: string, partition: string): Promise<readonly CacheEntry[]> {
    const answers = await this.#ask(this.#finds, (question) => ({
      zone,
      type: 'ask',
      question,
      resource,
      partition,
    }));
    return answers.find((entries) => entries.length > 0) ?? [];
  }

  #ask<T>(
    questions: Map<number, Question<T>>,
    make: (question: number) => CacheMessage,
  ): Promise<readonly T[]> {
    const number = ++this.#serial;
    return new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        questions.delete(number);
        resolve(question.answers);
      };
      const timer = setTimeout(settle, PATIENCE_MS);
      const question: Question<T> = { answers: [], settle };
      questions.set(number, question);
      this.#channel.post(make(number));
    });
  }

  #hear(message: CacheMessage): void {
    if (message.type === 'answer') this.#note(this.#finds.get(message.question), message.entries);
    else if (message.type === 'purged') this.#note(this.#purges.get(message.question), message.count);
  }

  #note<T>(question: Question<T> | undefined, answer: T): void {
    if (question === undefined) return;
    question.answers.push(answer);
    if (question.answers.length === this.#workers) question.settle();
  }
}

/** Nobody is told of the use, as it is none. A body on disk is not fetched to look at. */
function bodyOf(entry: SharedEntry): Uint8Array {
  return entry.place instanceof SharedArrayBuffer
    ? new MemoryBodies(0).read({ place: entry.place, bytes: undefined })
    : new Uint8Array(entry.size);
}
