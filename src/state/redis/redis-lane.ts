// Commands to one server, and the judgement whether it answers.
//
//     no answer in time, or no way to it           an answer, be it late
//   open ────────────────────────▶ stalled ─────────────────────────▶ open
//   commands wait at most          commands fail at once; a probe
//   `decisionTimeoutMs`            asks again and again; silent for
//                                  `giveUpMs`: the connection goes
//
// So a server that accepts and never answers costs those their patience who asked before it was
// noticed, and nobody afterwards.

import type { Backoff } from './backoff.ts';
import { RedisUnavailable } from './redis-unavailable.ts';

interface Ask {
  readonly dueAt: number;
  readonly key: string;
  settled: boolean;
  fail(error: RedisUnavailable): void;
}

export interface RedisLaneOptions {
  readonly decisionTimeoutMs: number;
  readonly giveUpMs: number;
  readonly backoff: Backoff;
  /** Asks the server that has this key something harmless; settles when it has answered. */
  probe(key: string): Promise<unknown>;
  /** The server has been silent for `giveUpMs`. */
  giveUp(): void;
  /** It fell silent, with the reason, or answers again. */
  onChange(silence: RedisUnavailable | undefined): void;
}

export class RedisLane {
  readonly #options: RedisLaneOptions;
  #asks: Ask[] = [];
  #timer: NodeJS.Timeout | undefined;
  #stalled: RedisUnavailable | undefined;
  #probeTimer: NodeJS.Timeout | undefined;
  #giveUpTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: RedisLaneOptions) {
    this.#options = options;
  }

  /** Whether the server answers, as far as anybody knows. */
  get open(): boolean {
    return this.#stalled === undefined;
  }

  /**
   * Issues a command and resolves with its answer. Throws RedisUnavailable at once while the server
   * is silent, rejects with it when the answer is not there in time, and with the server's own error
   * (`ReplyError`) when it answers with one. A command that came too late may still have its effect.
   */
  send<T>(key: string, issue: () => Promise<T>): Promise<T> {
    if (this.#stalled !== undefined) throw this.#stalled;
    return new Promise<T>((resolve, reject) => {
      const dueAt = performance.now() + this.#options.decisionTimeoutMs;
      const ask: Ask = { dueAt, key, settled: false, fail: reject };
      this.#asks.push(ask);
      this.#timer ??= this.#wait(this.#options.decisionTimeoutMs);
      issue().then(
        (answer) => {
          ask.settled = true;
          this.#answered();
          resolve(answer);
        },
        (error: Error) => {
          ask.settled = true;
          const answered = isReply(error);
          if (answered) this.#answered();
          else this.#stall(key, new RedisUnavailable(error.message));
          reject(answered ? error : new RedisUnavailable(error.message));
        },
      );
    });
  }

  /** The connection is gone: nobody will be answered any more. */
  close(error: RedisUnavailable): void {
    this.#closed = true;
    this.#stalled = error;
    this.#failAll(error);
    clearTimeout(this.#timer);
    clearTimeout(this.#probeTimer);
    clearTimeout(this.#giveUpTimer);
  }

  #wait(milliseconds: number): NodeJS.Timeout {
    return setTimeout(() => {
      // This thread may have been busy itself: answers that have arrived meanwhile come first.
      setImmediate(() => this.#judge());
    }, milliseconds).unref();
  }

  #judge(): void {
    this.#timer = undefined;
    if (this.#closed) return;
    // In the order in which they were sent, which is the order in which they fall due.
    this.#asks = this.#asks.filter(({ settled }) => !settled);
    const oldest = this.#asks.at(0);
    if (oldest === undefined) return;
    const left = oldest.dueAt - performance.now();
    if (left > 0) this.#timer = this.#wait(left);
    else {
      const patience = this.#options.decisionTimeoutMs;
      this.#stall(oldest.key, new RedisUnavailable(`no answer within ${patience} ms`));
    }
  }

  #stall(key: string, reason: RedisUnavailable): void {
    if (this.#closed || this.#stalled !== undefined) return;
    this.#stalled = reason;
    this.#failAll(reason);
    this.#options.onChange(reason);
    this.#giveUpTimer = setTimeout(() => this.#options.giveUp(), this.#options.giveUpMs).unref();
    this.#probeLater(key);
  }

  #probeLater(key: string): void {
    this.#probeTimer = setTimeout(() => {
      this.#options.probe(key).then(
        () => this.#answered(),
        (error) => {
          if (isReply(error)) this.#answered();
          else if (this.#stalled !== undefined && !this.#closed) this.#probeLater(key);
        },
      );
    }, this.#options.backoff.next()).unref();
  }

  #answered(): void {
    if (this.#closed) return;
    this.#options.backoff.reset();
    if (this.#stalled === undefined) return;
    this.#stalled = undefined;
    clearTimeout(this.#probeTimer);
    clearTimeout(this.#giveUpTimer);
    this.#options.onChange(undefined);
  }

  #failAll(error: RedisUnavailable): void {
    const asks = this.#asks;
    this.#asks = [];
    for (const ask of asks) if (!ask.settled) ask.fail(error);
  }
}

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}
