// The one place where the configuration is written. While the Store makes one Change durable, the
// operations that arrive wait, and then go together: the disk is asked once for all of them, and
// they are planned one after the other, so that of two racing PATCHes none is lost.

import type { Change } from '../model/change.ts';
import type { Configuration } from '../model/configuration.ts';
import { ConfigError } from '../model/errors.ts';
import { type Failure, refuse } from '../model/failure.ts';
import type { Answer, Operation } from '../model/operation.ts';
import type { Store } from '../model/store.ts';
import type { Logger } from '../plugin/kit.ts';

export interface WriterOptions {
  readonly configuration: Configuration;
  readonly store: Pick<Store, 'write'>;
  /** Brings a Change to everyone who serves traffic; secrets are plain in it. */
  broadcast(change: Change): Promise<void> | void;
  readonly log: Pick<Logger, 'error'>;
}

interface Waiting {
  readonly operation: Operation;
  readonly resolve: (result: Answer | Failure) => void;
}

const MAXIMUM_BATCH = 256;
/** setTimeout takes no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const RETRY_MS = 1_000;

export class Writer {
  readonly #options: WriterOptions;
  readonly #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#scheduleExpiry(0);
  }

  /** Plans, stores, commits and broadcasts an operation. Resolves when it is durable, or refused. */
  submit(operation: Operation): Promise<Answer | Failure> {
    if (this.#closed) return Promise.resolve(refuse('the Admin API is closing', [], 503));
    return new Promise((resolve) => {
      this.#waiting.push({ operation, resolve });
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined;
      });
    });
  }

  /** Finishes what was submitted and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    // One turn of the event loop, so that requests which arrived together share the first batch.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) await this.#write(this.#waiting.splice(0, MAXIMUM_BATCH));
  }

  async #write(jobs: readonly Waiting[]): Promise<void> {
    const { configuration, store, broadcast, log } = this.#options;
    const batch = configuration.batch();
    const results = jobs.map(({ operation }) => {
      try {
        return batch.plan(operation);
      } catch (error) {
        log.error('an operation on the configuration failed', { type: operation.type, at: placeOf(error) });
        return refuse('internal error', [], 500);
      }
    });
    const { change } = batch;
    if (!batch.isEmpty) {
      try {
        await store.write(configuration.sealed(change));
      } catch (error) {
        const isReadOnly = error instanceof ConfigError;
        if (!isReadOnly)
          log.error('the store refused a change', { revision: change.revision, error: String(error) });
        // Even a refusal may rest on an operation that has now not happened.
        for (const { resolve } of jobs)
          resolve(
            refuse(
              isReadOnly ? error.message : 'failed to write the configuration to the store',
              [],
              isReadOnly ? 405 : 503,
            ),
          );
        this.#scheduleExpiry(RETRY_MS);
        return;
      }
      configuration.commit(change);
      try {
        await broadcast(change);
      } catch (error) {
        log.error('a change did not reach all workers', { revision: change.revision, error: String(error) });
      }
    }
    for (const [index, { resolve }] of jobs.entries()) resolve(results[index]);
    this.#scheduleExpiry(0);
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
