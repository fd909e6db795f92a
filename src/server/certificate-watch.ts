// Tells when certificates end: in the metrics always, in the log from a month ahead. What nobody
// renews would otherwise be noticed by the clients first.

import { certificatesIn } from '../model/certificate.ts';
import type { Change } from '../model/change.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Ssl } from '../model/ssl.ts';
import type { ObtainedCertificate } from '../model/tls-material.ts';
import type { Logger } from '../plugin/kit.ts';
import type { CertificateFigures } from '../telemetry/figures.ts';

const DAY_MS = 86_400_000;
/** So long ahead the log warns, once a day. */
const WARNING_DAYS = 30;

export interface CertificateWatchOptions {
  readonly snapshot: Snapshot;
  readonly log: Logger;
  /** Certificates that the gateway got for itself, at this moment. */
  obtained(): readonly ObtainedCertificate[];
  report(certificates: readonly CertificateFigures[]): void;
  now?(): number;
}

interface Watched {
  readonly id: string;
  readonly source: Pick<Ssl, 'cert' | 'certs' | 'sni' | 'snis'>;
}

export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  /** Unix milliseconds by what holds the certificate: parsing all of them for each change would be slow. */
  readonly #ends = new WeakMap<object, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
  }

  /** Looks at all now, and every day. */
  start(): void {
    this.#timer = setInterval(() => this.check(), DAY_MS);
    this.#timer.unref();
    this.check();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks at what a Change brought. */
  onChange({ puts, removals }: Change): void {
    const changed = puts.filter(({ kind }) => kind === 'ssls').map(({ id }) => id);
    if (changed.length > 0 || removals.some(({ kind }) => kind === 'ssls')) this.check(new Set(changed));
  }

  /** Reports all; warns of these, or of all. */
  check(warnOf?: ReadonlySet<string>): void {
    const { report, log, now = Date.now } = this.#options;
    const figures: CertificateFigures[] = [];
    for (const { id, source } of this.#watched()) {
      const end = this.#endOf(source);
      if (end === undefined) continue;
      const names = source.snis ?? [source.sni ?? ''];
      for (const sni of names) figures.push({ ssl: id, sni, notAfter: Math.floor(end / 1000) });
      const days = Math.floor((end - now()) / DAY_MS);
      if (days >= WARNING_DAYS || warnOf?.has(id) === false) continue;
      const when = days < 0 ? 'has expired' : `expires in ${days} day${days === 1 ? '' : 's'}`;
      log.warn(`the certificate of ssl ${id} ${when}`, {
        snis: names,
        not_after: new Date(end).toISOString(),
      });
    }
    report(figures);
  }

  *#watched(): Iterable<Watched> {
    const { snapshot, obtained } = this.#options;
    for (const { id, value } of snapshot.list('ssls')) {
      if (value.status !== 0) yield { id, source: value as unknown as Ssl };
    }
    for (const one of obtained()) yield { id: one.id, source: one };
  }

  /** When the first of its certificates ends, those of the authorities that it brings among them. */
  #endOf(source: Watched['source']): number | undefined {
    let end = this.#ends.get(source);
    if (end === undefined) {
      const all = [source.cert ?? '', ...(source.certs ?? [])].flatMap((pem) => certificatesIn(pem));
      end = Math.min(...all.map(({ validTo }) => Date.parse(validTo)));
      this.#ends.set(source, end);
    }
    return Number.isNaN(end) ? undefined : end;
  }
}
