// Has a certificate for each name, in time: obtains what is missing and renews what is two thirds
// through its life, one after the other.

import { certificatesIn } from '../model/certificate.ts';
import type { ObtainedCertificate } from '../model/tls-material.ts';
import type { Logger } from '../plugin/kit.ts';
import type { IssuedCertificate } from './acme-client.ts';
import { AcmeError } from './signed-request.ts';

export interface CertificateKeeperOptions {
  readonly names: readonly string[];
  readonly log: Logger;
  /** Those kept from earlier. */
  load(name: string): IssuedCertificate | undefined;
  save(name: string, certificate: IssuedCertificate): void;
  obtain(name: string): Promise<IssuedCertificate>;
  /** Told all that there are, whenever one has come. */
  use(certificates: readonly ObtainedCertificate[]): Promise<void>;
  now?(): number;
  random?(): number;
}

interface Kept {
  readonly name: string;
  certificate: IssuedCertificate | undefined;
  /** Unix milliseconds at which to obtain the next one. */
  dueAt: number;
  failures: number;
}

/** Renewed when so much of its life is over: time enough for weeks of trouble with one of three months. */
const RENEW_AT = 2 / 3;
/** Spread over so much of its life, so that many gateways don't ask at once. */
const JITTER = 0.04;
const FIRST_RETRY_MS = 60_000;
const LONGEST_RETRY_MS = 6 * 3_600_000;
/** Looked at this often at least: clocks jump, and timers have an end. */
const LONGEST_WAIT_MS = 3_600_000;

export class CertificateKeeper {
  readonly #options: Required<CertificateKeeperOptions>;
  readonly #all: readonly Kept[];
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: CertificateKeeperOptions) {
    this.#options = { now: Date.now, random: Math.random, ...options };
    this.#all = options.names.map((name) => {
      const certificate = options.load(name);
      const dueAt = certificate === undefined ? 0 : this.#renewalOf(certificate);
      return { name, certificate, dueAt, failures: 0 };
    });
  }

  /** Those that there are now. */
  get certificates(): readonly ObtainedCertificate[] {
    return this.#all.flatMap(({ name, certificate }) =>
      certificate === undefined ? [] : [{ id: `acme/${name}`, snis: [name], ...certificate }],
    );
  }

  start(): void {
    void this.#work();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Obtains all that is due; resolves when it has tried each once. */
  async renew(): Promise<void> {
    for (const kept of this.#all) {
      if (this.#stopped) return;
      if (kept.dueAt <= this.#options.now()) await this.#renewOne(kept);
    }
  }

  async #work(): Promise<void> {
    await this.renew();
    if (this.#stopped) return;
    const next = Math.min(...this.#all.map(({ dueAt }) => dueAt)) - this.#options.now();
    this.#timer = setTimeout(() => void this.#work(), Math.min(Math.max(next, 1_000), LONGEST_WAIT_MS));
    this.#timer.unref();
  }

  async #renewOne(kept: Kept): Promise<void> {
    const { log, obtain, save, use } = this.#options;
    const { name } = kept;
    try {
      kept.certificate = await obtain(name);
    } catch (error) {
      return this.#retryLater(kept, error);
    }
    kept.failures = 0;
    kept.dueAt = this.#renewalOf(kept.certificate);
    log.info(`certificate obtained for ${name}`, { renewal: new Date(kept.dueAt).toISOString() });
    try {
      save(name, kept.certificate);
    } catch (error) {
      // It serves all the same; only the next start has to ask again.
      log.error(`the certificate for ${name} can't be kept: ${messageOf(error)}`);
    }
    await use(this.certificates);
  }

  #retryLater(kept: Kept, error: unknown): void {
    const { log, now, random } = this.#options;
    const backoff = Math.min(FIRST_RETRY_MS * 2 ** kept.failures++, LONGEST_RETRY_MS);
    const asked = error instanceof AcmeError ? error.retryAfterMs : 0;
    const waitMs = Math.max(asked, backoff * (0.75 + random() / 2));
    kept.dueAt = now() + waitMs;
    const retry = Math.round(waitMs / 1000);
    log.error(`no certificate for ${kept.name}: ${messageOf(error)}`, {
      attempt: kept.failures,
      retry_in_seconds: retry,
    });
  }

  #renewalOf({ cert }: IssuedCertificate): number {
    const [{ validFrom, validTo }] = certificatesIn(cert);
    const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
    return from + (to - from) * (RENEW_AT + (this.#options.random() - 0.5) * JITTER);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
