import type { ChangeHistory } from './change-history.ts';
import type { SyncRequest } from './sync-messages.ts';

/** From whom a report came, as its connection shows. */
export interface Peer {
  readonly address: string;
  /** The common name in its certificate. */
  readonly certificate: string;
}

interface Known extends Peer {
  readonly report: SyncRequest;
  readonly firstSeen: number;
  lastSeen: number;
  /** Requests of its that wait for an answer. */
  asking: number;
}

/** A data plane as the Admin API shows it; times are Unix seconds. */
export interface DataPlaneStatus {
  readonly id: string;
  readonly host: string;
  readonly address: string;
  readonly certificate: string;
  readonly version: string;
  /**
   * `current` or `behind`; `refused`: it can't take the newest revision; `partly-applied`: not all of
   * its workers serve the revision it has; `diverged`: it has something else under that number;
   * `away`: nothing was heard of it.
   */
  readonly status: 'current' | 'behind' | 'refused' | 'partly-applied' | 'diverged' | 'away';
  readonly reason?: string;
  readonly revision: number;
  readonly lag: { readonly revisions: number; readonly seconds: number };
  readonly stale: boolean;
  readonly workers: readonly { readonly worker: number; readonly revision: number }[];
  readonly worker_restarts: number;
  readonly started_at: number;
  readonly first_seen: number;
  readonly last_seen: number;
}

/** It asks again as soon as it has an answer. */
const AWAY_AFTER_MS = 10_000;
const FORGOTTEN_AFTER_MS = 24 * 60 * 60 * 1_000;
const MOST = 10_000;

/** The data planes that have asked this control plane since it started. */
export class DataPlanes {
  readonly #history: ChangeHistory;
  readonly #known = new Map<string, Known>();

  constructor(history: ChangeHistory) {
    this.#history = history;
  }

  /** Takes a report; returns what to call when it has been answered. */
  report(report: SyncRequest, peer: Peer): () => void {
    const now = Date.now();
    this.#forgetOld(now);
    const before = this.#known.get(report.instance);
    const known: Known = {
      ...peer,
      report,
      firstSeen: before?.firstSeen ?? now,
      lastSeen: now,
      asking: (before?.asking ?? 0) + 1,
    };
    this.#known.set(report.instance, known);
    return () => {
      const present = this.#known.get(report.instance);
      if (present === undefined) return;
      present.asking--;
      present.lastSeen = Date.now();
    };
  }

  list(): DataPlaneStatus[] {
    const all = [...this.#known.values()].map((known) => this.#statusOf(known));
    return all.toSorted((left, right) => (left.host + left.id < right.host + right.id ? -1 : 1));
  }

  get(id: string): DataPlaneStatus | undefined {
    const known = this.#known.get(id);
    return known && this.#statusOf(known);
  }

  #statusOf(known: Known): DataPlaneStatus {
    const { report, address, certificate } = known;
    const { revision } = this.#history;
    const since = this.#history.newerSince(report.revision);
    const seconds = since === undefined ? 0 : Math.max(0, Math.round((Date.now() - since) / 1000));
    return {
      id: report.instance,
      host: report.host,
      address,
      certificate,
      version: report.version,
      ...this.#judge(known),
      revision: report.revision,
      lag: { revisions: Math.max(0, revision - report.revision), seconds },
      stale: report.stale,
      workers: report.workers,
      worker_restarts: report.worker_restarts,
      started_at: report.started_at,
      first_seen: Math.floor(known.firstSeen / 1000),
      last_seen: Math.floor((known.asking > 0 ? Date.now() : known.lastSeen) / 1000),
    };
  }

  #judge({ report, asking, lastSeen }: Known): Pick<DataPlaneStatus, 'status' | 'reason'> {
    const { revision, digest } = this.#history;
    if (asking === 0 && Date.now() - lastSeen > AWAY_AFTER_MS) return { status: 'away' };
    const { refused } = report;
    if (refused?.revision === revision && refused.digest === digest) {
      return { status: 'refused', reason: refused.reason };
    }
    const expected = this.#history.digestAt(report.revision);
    if (expected !== undefined && expected !== report.digest) return { status: 'diverged' };
    if (report.workers.some((worker) => worker.revision !== report.revision))
      return { status: 'partly-applied' };
    return { status: report.revision === revision ? 'current' : 'behind' };
  }

  #forgetOld(now: number): void {
    for (const [id, { asking, lastSeen }] of this.#known) {
      const isOld = asking === 0 && now - lastSeen > FORGOTTEN_AFTER_MS;
      if (isOld || this.#known.size > MOST) this.#known.delete(id);
    }
  }
}
