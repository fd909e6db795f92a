// The one place where the configuration is written. While the Store makes one Change durable, the
// operations that arrive wait, and then go together: the disk is asked once for all of them, and
// they are planned one after the other, so that of two racing PATCHes none is lost.

import { arrival } from '../model/arrival.ts';
import type { Change } from '../model/change.ts';
import type { Configuration } from '../model/configuration.ts';
import { ConfigError } from '../model/errors.ts';
import { type Failure, refuse } from '../model/failure.ts';
import type { Answer, Operation } from '../model/operation.ts';
import { type SharedStore, type Store, StoreAwayError, StoreMovedError } from '../model/store.ts';
import type { Logger } from '../plugin/kit.ts';

export interface WriterOptions {
  readonly configuration: Configuration;
  readonly store: WritableStore;
  /** Brings a Change to everyone who serves traffic; secrets are plain in it. */
  broadcast(change: Change): Promise<void> | void;
  readonly log: Pick<Logger, 'error'>;
}

/** What is needed of a Store; one that others write to also tells what they wrote. */
export type WritableStore = Pick<Store, 'write'> & Partial<Pick<SharedStore, 'catchUp' | 'watch'>>;

interface Waiting {
  readonly operation: Operation;
  readonly resolve: (result: Answer | Failure) => void;
}

const MAXIMUM_BATCH = 256;
/** setTimeout takes no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const RETRY_MS = 1_000;
/** How often a batch is planned again because others wrote first; each time one of them got on. */
const ATTEMPTS = 50;

export class Writer {
  readonly #options: WriterOptions;
  readonly #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Who waits for what others may have written. */
  #refreshing: { resolve(): void; reject(error: Error): void }[] = [];
  /** Why what others wrote can't be taken, as it was logged last. */
  #refused = '';

  constructor(options: WriterOptions) {
    this.#options = options;
    options.store.watch?.(() => {
      // The Store says itself that it is away, and calls again when it is back.
      this.refresh().catch(() => {});
    });
    this.#scheduleExpiry(0);
  }

  /** Plans, stores, commits and broadcasts an operation. Resolves when it is durable, or refused. */
  submit(operation: Operation): Promise<Answer | Failure> {
    if (this.#closed) return Promise.resolve(refuse('the Admin API is closing', [], 503));
    return new Promise((resolve) => {
      this.#waiting.push({ operation, resolve });
      this.#begin();
    });
  }

  /** Resolves when everything is taken that others had written before the call; rejects when that can't be known. */
  refresh(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#refreshing.push({ resolve, reject });
      this.#begin();
    });
  }

  /** Finishes what was submitted and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #begin(): void {
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // One turn of the event loop, so that requests which arrived together share the first batch.
    await new Promise(setImmediate);
    while (this.#waiting.length + this.#refreshing.length > 0) {
      const refreshing = this.#refreshing.splice(0);
      if (refreshing.length > 0) {
        const failure = await this.#catchUp().catch((error: Error) => error);
        for (const { resolve, reject } of refreshing) {
          if (failure === undefined) resolve();
          else reject(failure);
        }
      }
      if (this.#waiting.length > 0) await this.#write(this.#waiting.splice(0, MAXIMUM_BATCH));
    }
    // Here and not a moment later: whoever comes in between would wait for nobody.
    this.#running = undefined;
  }

  /** Takes what others have written, and brings it to the workers as if it was written here. */
  async #catchUp(): Promise<void> {
    const { configuration, store, log } = this.#options;
    const taken: Change[] = [];
    try {
      await store.catchUp?.((step) => {
        const change = arrival(configuration, step);
        configuration.commit(change);
        taken.push(change);
      });
      this.#refused = '';
    } catch (error) {
      if (error instanceof ConfigError && error.message !== this.#refused) {
        this.#refused = error.message;
        log.error(
          `${error.message}; revision ${configuration.revision} stays, and nothing can be written here`,
        );
      }
      throw error;
    } finally {
      for (const change of taken) await this.#broadcast(change);
      if (taken.length > 0) this.#scheduleExpiry(0);
    }
  }

  async #broadcast(change: Change): Promise<void> {
    const { broadcast, log } = this.#options;
    try {
      await broadcast(change);
    } catch (error) {
      log.error('a change did not reach all workers', { revision: change.revision, error: String(error) });
    }
  }

  async #write(jobs: readonly Waiting[], attempt = 1): Promise<void> {
    const { configuration, store, log } = this.#options;
    const batch = configuration.batch();
    const results = jobs.map(({ operation }) => {
      try {
        return batch.plan(operation);
      } catch (error) {
        log.error('an operation on the configuration failed', { type: operation.type, at: placeOf(error) });
        return refuse('internal error', [], 500);
      }
    });
    if (attempt === 1 && store.catchUp !== undefined && results.some(({ ok }) => !ok)) {
      // What was missing may just have been written elsewhere.
      const { revision } = configuration;
      await this.#catchUp().catch(() => {});
      if (configuration.revision !== revision) return this.#write(jobs, 2);
    }
    const { change } = batch;
    if (!batch.isEmpty) {
      try {
        await store.write(configuration.sealed(change));
      } catch (error) {
        if (error instanceof StoreMovedError && attempt < ATTEMPTS) {
          const behind = await this.#catchUp().catch((reason: Error) => reason);
          if (behind === undefined) return this.#write(jobs, attempt + 1);
          return this.#refuseAll(
            jobs,
            change,
            behind instanceof ConfigError ? new StoreAwayError(behind.message) : behind,
          );
        }
        return this.#refuseAll(jobs, change, error);
      }
      configuration.commit(change);
      await this.#broadcast(change);
    }
    for (const [index, { resolve }] of jobs.entries()) resolve(results[index]);
    this.#scheduleExpiry(0);
  }

  /** Even a refusal may rest on an operation that has now not happened. */
  #refuseAll(jobs: readonly Waiting[], { revision }: Change, error: unknown): void {
    const isReadOnly = error instanceof ConfigError;
    // A Store that is away says so itself, once.
    if (!isReadOnly && !(error instanceof StoreAwayError)) {
      this.#options.log.error('the store refused a change', { revision, error: String(error) });
    }
    const message =
      isReadOnly || error instanceof StoreAwayError
        ? error.message
        : error instanceof StoreMovedError
          ? 'value changed before overwritten'
          : 'failed to write the configuration to the store';
    for (const { resolve } of jobs) resolve(refuse(message, [], isReadOnly ? 405 : 503));
    this.#scheduleExpiry(RETRY_MS);
  }

  #scheduleExpiry(leastMs: number): void {
    clearTimeout(this.#timer);
    const { configuration } = this.#options;
    const next = configuration.nextExpiry();
    if (next === undefined || this.#closed) return;
    const wait = Math.min(Math.max(next - configuration.clock.now(), leastMs), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => void this.submit({ type: 'expire' }), wait);
    this.#timer.unref();
  }
}

/** Where an exception came from. Its message is left out, since it may quote the configuration. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return [error.name, ...frames.slice(0, 5).map((line) => line.trim())].join(' ');
}
