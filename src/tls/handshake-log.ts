import type { Logger } from '../plugin/kit.ts';

/** One line of a kind in this time; strangers can fail as often as they like. */
const QUIET_MS = 10_000;

/** Says why handshakes fail, without letting strangers fill the log. */
export class HandshakeLog {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #kinds = new Map<string, { since: number; silent: number }>();

  constructor(log: Logger, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  /** `reason` is one of few; what differs from client to client is in the fields. */
  failed(reason: string, fields: Readonly<Record<string, unknown>>): void {
    const now = this.#now();
    let kind = this.#kinds.get(reason);
    if (kind !== undefined && now - kind.since < QUIET_MS) {
      kind.silent++;
      return;
    }
    if (kind === undefined) this.#kinds.set(reason, (kind = { since: now, silent: 0 }));
    const suppressed = kind.silent > 0 ? { suppressed: kind.silent } : {};
    kind.since = now;
    kind.silent = 0;
    this.#log.warn(`TLS handshake failed: ${reason}`, { ...fields, ...suppressed });
  }
}
