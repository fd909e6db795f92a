// The main thread's side of telemetry: starts the thread that makes access log and metrics out of the
// workers' records, and tells it about workers that come and go.

import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { ReportedFigures } from './figures.ts';
import type { ListeningAddress } from './metrics-server.ts';
import type { FromTelemetry, ToTelemetry } from './telemetry-messages.ts';
import type { TelemetrySettings } from './telemetry-settings.ts';

export interface TelemetryOptions {
  readonly settings: TelemetrySettings;
  /** Rings from `createRecordRing` by worker number. */
  readonly rings?: ReadonlyMap<number, SharedArrayBuffer>;
  /** Told what an operator should know: a log that can't be written, a thread that died and was replaced. */
  readonly onTrouble: (message: string) => void;
}

const RESTART_AFTER_MS = 500;
const FLUSH_PATIENCE_MS = 2000;
const END_PATIENCE_MS = 500;

/** The thread never keeps the process alive; `stop` does until everything is written. */
export class Telemetry {
  #settings: TelemetrySettings;
  readonly #onTrouble: (message: string) => void;
  readonly #rings: Map<number, SharedArrayBuffer>;
  readonly #reopened: (() => void)[] = [];
  #figures: ReportedFigures = {};
  #redacted: readonly string[] | undefined;
  #thread: Worker | undefined;
  #metricsAddress: ListeningAddress | undefined;
  /** The thread takes messages; what it was not told before is told when it is. */
  #ready = false;
  #stopping = false;
  #restart: NodeJS.Timeout | undefined;
  #onStopped: ((droppedLines: number) => void) | undefined;

  /** Resolves when log and metrics are open. Rejects when a file can't be opened or the port is taken. */
  static async start(options: TelemetryOptions): Promise<Telemetry> {
    const telemetry = new Telemetry(options);
    await telemetry.#startThread();
    return telemetry;
  }

  private constructor({ settings, rings, onTrouble }: TelemetryOptions) {
    this.#settings = settings;
    this.#rings = new Map(rings);
    this.#onTrouble = onTrouble;
  }

  /** Where metrics are served; undefined when they aren't. */
  get metricsAddress(): ListeningAddress | undefined {
    return this.#metricsAddress;
  }

  /** Adds a worker's ring. One of the same number is that of a worker that has exited: what it left is taken, and a restart counted. */
  addRing(worker: number, ring: SharedArrayBuffer): void {
    this.#rings.set(worker, ring);
    this.#post({ type: 'addRing', worker, ring });
  }

  /** Takes what a worker that has exited for good has left. */
  removeRing(worker: number): void {
    this.#rings.delete(worker);
    this.#post({ type: 'removeRing', worker });
  }

  /** Shows figures of the main thread in the metrics; those not named keep their last value. */
  report(figures: ReportedFigures): void {
    this.#figures = { ...this.#figures, ...figures };
    this.#post({ type: 'report', figures });
  }

  /** Replaces the query parameters whose values stay out of the access log. */
  redact(names: readonly string[]): void {
    this.#redacted = names;
    this.#post({ type: 'redact', names });
  }

  /** Opens the log file anew, after logrotate has renamed it. */
  reopen(): Promise<void> {
    if (!this.#ready) return Promise.resolve();
    return new Promise((resolve) => {
      this.#reopened.push(resolve);
      this.#post({ type: 'reopen' });
    });
  }

  /** Leaves the metrics' address to another process. */
  leave(): void {
    this.#post({ type: 'leave' });
  }

  /** To be called when the workers have ended. Gives a log that can't be written `patienceMs`, and resolves to the number of log lines dropped over all, once everything else is written. */
  async stop(patienceMs = FLUSH_PATIENCE_MS): Promise<number> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    const thread = this.#thread;
    if (thread === undefined) return 0;
    if (!this.#ready) {
      await thread.terminate();
      return 0;
    }
    thread.ref();
    const droppedLines = await new Promise<number>((resolve) => {
      this.#onStopped = resolve;
      this.#post({ type: 'stop', patienceMs });
    });
    // A system call that never comes back would hold the thread, and nothing is left to wait for.
    await Promise.race([thread.terminate(), delay(END_PATIENCE_MS, undefined, { ref: false })]);
    return droppedLines;
  }

  #startThread(): Promise<void> {
    const thread = new Worker(new URL('./telemetry-thread.ts', import.meta.url), {
      name: 'telemetry',
      workerData: this.#settings,
    });
    this.#thread = thread;
    const { prometheus, ...others } = this.#settings;
    // A socket that was handed over ends with the thread that has it.
    if (prometheus?.fd !== undefined)
      this.#settings = { ...others, prometheus: { ...prometheus, fd: undefined } };
    return new Promise((resolve, reject) => {
      thread.on('message', (message: FromTelemetry) => {
        if (message.type === 'ready') {
          this.#ready = true;
          this.#metricsAddress = message.metricsAddress;
          for (const [worker, ring] of this.#rings) this.#post({ type: 'addRing', worker, ring });
          this.#post({ type: 'report', figures: this.#figures });
          if (this.#redacted !== undefined) this.#post({ type: 'redact', names: this.#redacted });
          thread.unref();
          resolve();
        } else if (message.type === 'failed') {
          reject(new Error(message.message));
        } else if (message.type === 'trouble') {
          this.#onTrouble(message.message);
        } else if (message.type === 'reopened') {
          this.#reopened.shift()?.();
        } else {
          this.#onStopped?.(message.droppedLines);
        }
      });
      thread.on('error', (error) => {
        this.#onTrouble(`the telemetry thread failed: ${String(error)}`);
        reject(error);
      });
      thread.on('exit', () => {
        const wasReady = this.#ready;
        this.#ready = false;
        this.#thread = undefined;
        reject(new Error('the telemetry thread ended before it was ready'));
        for (const reopened of this.#reopened.splice(0)) reopened();
        this.#onStopped?.(0);
        // One that never was ready is `start`'s to report.
        if (!this.#stopping && wasReady) this.#restartLater();
      });
    });
  }

  #restartLater(): void {
    this.#restart = setTimeout(() => {
      this.#startThread().catch((error) => {
        this.#onTrouble(`the telemetry thread can't be started again: ${String(error)}`);
        if (!this.#stopping) this.#restartLater();
      });
    }, RESTART_AFTER_MS);
    this.#restart.unref();
  }

  #post(message: ToTelemetry): void {
    if (this.#ready) this.#thread?.postMessage(message);
  }
}
