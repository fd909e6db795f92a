// The data plane's side: asks a control plane for what is new, takes it whole or not at all, and
// keeps the last good configuration on disk.

import { setTimeout as sleep } from 'node:timers/promises';
import { arrival } from '../model/arrival.ts';
import type { Change } from '../model/change.ts';
import type { Configuration } from '../model/configuration.ts';
import { ConfigError } from '../model/errors.ts';
import { mergedChange } from '../model/merged-change.ts';
import { SnapshotDigest } from '../model/snapshot-digest.ts';
import type { Logger } from '../plugin/kit.ts';
import type { ControlPlaneClient } from './control-plane-client.ts';
import type { SnapshotFile } from './snapshot-file.ts';
import type { Refusal, SyncAnswer, SyncRequest } from './sync-messages.ts';

export interface FollowerOptions {
  readonly configuration: Configuration;
  readonly client: ControlPlaneClient;
  readonly file: SnapshotFile;
  /** Brings a Change to the workers, once there are any. */
  apply(change: Change): Promise<void>;
  /** What else is reported of this data plane. */
  about(): Pick<SyncRequest, 'instance' | 'host' | 'version' | 'started_at' | 'workers' | 'worker_restarts'>;
  /** Told when `stale` or `isConnected` has changed. */
  onState(): void;
  readonly log: Logger;
}

const WAIT_MS = 25_000;
const SHORTEST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;
/** Writing the file costs the size of everything: under many Changes, once in so long is enough. */
const BETWEEN_WRITES_MS = 1_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Follower {
  readonly #options: FollowerOptions;
  /** Of what the control plane has; what has ended here by its time to live may still be in it. */
  #digest = new SnapshotDigest();
  readonly #stop = new AbortController();
  #refused: Refusal | undefined;
  /** Whether everything is asked for, since a step led elsewhere than it should. */
  #wantsAll = false;
  #isConnected = false;
  #hasSaidAway = false;
  /** Holds a configuration, be it an empty one. */
  #isWhole = false;
  #isRunning = false;
  #stale = false;
  #saving: Promise<void> | undefined;
  #isSaved = true;
  /** The file is another process's for the time being. */
  #isLent = false;
  #expiry: NodeJS.Timeout | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /** Serves what the disk had, and has not been in touch with a control plane since. */
  get stale(): boolean {
    return this.#stale;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /**
   * Asks until there is a first configuration, or the time is over; tells whether there is one. One
   * that can't be taken ends the time, too, as the disk may have a better one; endless patience waits
   * for the next.
   */
  async begin(patienceMs: number): Promise<boolean> {
    const end = performance.now() + patienceMs;
    for (let retryMs = SHORTEST_RETRY_MS; !this.#stop.signal.aborted; retryMs *= 2) {
      const signal = AbortSignal.any([
        this.#stop.signal,
        AbortSignal.timeout(Math.ceil(Math.max(1, Math.min(end - performance.now(), LONGEST_TIMER_MS)))),
      ]);
      await this.#exchange(0, signal);
      if (this.#isWhole) return true;
      if (this.#refused !== undefined && patienceMs < Number.POSITIVE_INFINITY) return false;
      if (performance.now() + retryMs > end) return false;
      await this.#pause(Math.min(retryMs, LONGEST_RETRY_MS));
    }
    return false;
  }

  /** Takes what the disk has; tells whether there was something good. */
  async beginFromDisk(): Promise<boolean> {
    const { configuration, file, log } = this.#options;
    try {
      const content = await file.read();
      if (content === undefined) return false;
      const errors = configuration.load(content);
      if (errors.length > 0) throw new Error(`${errors[0].kind}/${errors[0].id}: ${errors[0].message}`);
      this.#digest.apply({ revision: content.revision, puts: configuration.snapshot.all(), removals: [] });
      this.#isWhole = true;
      this.#setState(this.#isConnected, true);
      log.warn('starting with the configuration on disk', {
        revision: content.revision,
      });
      return true;
    } catch (error) {
      log.error(`the configuration on disk can't be used: ${messageOf(error)}`);
      return false;
    }
  }

  /** Follows until `close`. */
  async run(): Promise<void> {
    this.#isRunning = true;
    this.#scheduleExpiry();
    let retryMs = SHORTEST_RETRY_MS;
    while (!this.#stop.signal.aborted) {
      if (await this.#exchange(WAIT_MS, this.#stop.signal)) retryMs = SHORTEST_RETRY_MS;
      else {
        // Many data planes must not come back at the same moment.
        await this.#pause(retryMs * (0.5 + Math.random() / 2));
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
  }

  /** Leaves the file to another process; resolves when nothing is being written. */
  async letGo(): Promise<void> {
    this.#isLent = true;
    await this.#saving;
  }

  /** Writes the file again. */
  takeBack(): void {
    this.#isLent = false;
    if (!this.#isSaved) this.#save();
  }

  /** Ends the connection, and writes what is not on the disk yet. */
  async close(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#expiry);
    this.#options.client.close();
    await this.#saving;
    if (!this.#isSaved && !this.#isLent) await this.#write();
  }

  /** Asks once, and takes the answer; tells whether there was one. */
  async #exchange(waitMs: number, signal: AbortSignal): Promise<boolean> {
    const { client } = this.#options;
    try {
      const answer = await client.sync(this.#request(waitMs), signal);
      this.#noteConnected();
      if (answer !== undefined) await this.#take(answer);
      else if (this.#refused === undefined) this.#noteWhole();
      return true;
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#noteAway(error);
      return false;
    }
  }

  #request(wait_ms: number): SyncRequest {
    return {
      ...this.#options.about(),
      revision: this.#options.configuration.revision,
      digest: this.#wantsAll ? '' : this.#digest.text,
      wait_ms,
      stale: this.#stale,
      ...(this.#refused !== undefined && { refused: this.#refused }),
    };
  }

  async #take(answer: SyncAnswer): Promise<void> {
    const { configuration, log } = this.#options;
    const { revision, digest } = answer;
    try {
      let change: Change;
      if ('changes' in answer) {
        change = arrival(configuration, mergedChange(answer.changes));
        const undo = this.#digest.apply(change);
        if (this.#digest.text !== digest) {
          undo();
          // The step may lead elsewhere because of what was here before.
          this.#wantsAll = true;
          return;
        }
      } else {
        change = arrival(configuration, answer);
        const whole = new SnapshotDigest();
        whole.apply({ revision, puts: answer.resources, removals: [] });
        if (whole.text !== digest) {
          throw new ConfigError(`revision ${revision} did not arrive whole: its checksum is another`);
        }
        this.#digest = whole;
      }
      if (revision < configuration.revision) {
        log.warn('the control plane has gone back to an older revision', {
          revision,
          from: configuration.revision,
        });
      }
      configuration.commit(change);
      await this.#options.apply(change);
      this.#refused = undefined;
      this.#wantsAll = false;
      this.#noteWhole();
      this.#isSaved = false;
      this.#save();
      this.#scheduleExpiry();
      log.debug('configuration taken', { revision });
    } catch (error) {
      const reason = messageOf(error).slice(0, 1024);
      this.#refused = { revision, digest, reason };
      log.error(`${reason}; revision ${configuration.revision} stays`);
    }
  }

  // State, told once when it changes.

  #noteConnected(): void {
    if (this.#isConnected) return;
    this.#hasSaidAway = false;
    this.#setState(true, this.#stale);
    this.#options.log.info('following a control plane', { at: this.#options.client.at });
  }

  #noteWhole(): void {
    this.#isWhole = true;
    this.#setState(true, false);
  }

  #noteAway(error: unknown): void {
    const { log, configuration } = this.#options;
    if (this.#hasSaidAway) return;
    this.#hasSaidAway = true;
    this.#setState(false, this.#stale);
    log.warn(`no control plane answers: ${messageOf(error)}; revision ${configuration.revision} stays`);
  }

  #setState(isConnected: boolean, stale: boolean): void {
    if (isConnected === this.#isConnected && stale === this.#stale) return;
    this.#isConnected = isConnected;
    this.#stale = stale;
    this.#options.onState();
  }

  // The disk.

  #save(): void {
    if (this.#isLent) return;
    this.#saving ??= (async () => {
      while (!this.#isSaved && !this.#isLent && !this.#stop.signal.aborted) {
        const begin = performance.now();
        await this.#write();
        await this.#pause(Math.max(BETWEEN_WRITES_MS, 10 * (performance.now() - begin)));
      }
    })().finally(() => {
      this.#saving = undefined;
      if (!this.#isSaved && !this.#stop.signal.aborted) this.#save();
    });
  }

  async #write(): Promise<void> {
    const { configuration, file, log } = this.#options;
    this.#isSaved = true;
    const { revision, snapshot } = configuration;
    const { puts: resources } = configuration.sealed({ revision, puts: snapshot.all(), removals: [] });
    try {
      await file.write({ revision, resources });
    } catch (error) {
      this.#isSaved = false;
      log.error(`the configuration can't be kept on disk: ${messageOf(error)}`);
      await this.#pause(LONGEST_RETRY_MS);
    }
  }

  // What has a time to live must also end when no control plane says so.

  #scheduleExpiry(): void {
    clearTimeout(this.#expiry);
    const { configuration } = this.#options;
    const next = configuration.nextExpiry();
    // Workers that are about to start would miss it.
    if (next === undefined || !this.#isRunning || this.#stop.signal.aborted) return;
    const wait = Math.min(Math.max(next - configuration.clock.now(), 0), LONGEST_TIMER_MS);
    this.#expiry = setTimeout(() => this.#expire(), wait);
    this.#expiry.unref();
  }

  #expire(): void {
    const { configuration, apply, log } = this.#options;
    const plan = configuration.plan({ type: 'expire' });
    if (plan.ok && plan.change.removals.length > 0) {
      // It stays in the digest until the control plane has removed it, too.
      const change = { ...plan.change, revision: configuration.revision };
      configuration.commit(change);
      this.#isSaved = false;
      this.#save();
      apply(change).catch((error: unknown) => log.error(messageOf(error)));
    }
    this.#scheduleExpiry();
  }

  async #pause(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#stop.signal }).catch(() => {});
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
