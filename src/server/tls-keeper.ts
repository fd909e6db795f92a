import { randomBytes } from 'node:crypto';
import type { Challenge, ObtainedCertificate, TlsMaterial } from '../model/tls-material.ts';

/** Two AES and HMAC keys and their name, as OpenSSL wants them. */
const TICKET_KEY_BYTES = 48;

/**
 * What TLS needs in every worker alike. The key of session tickets is in memory only and replaced
 * now and then: who steals it can read no more than what its time protected.
 */
export class TlsKeeper {
  #material: TlsMaterial;
  readonly #rotationMs: number;
  #timer: NodeJS.Timeout | undefined;
  #share: (material: TlsMaterial) => Promise<void> = () => Promise.resolve();

  constructor(rotationSeconds: number, certificates: readonly ObtainedCertificate[] = []) {
    this.#material = { ticketKeys: randomBytes(TICKET_KEY_BYTES), certificates, challenges: [] };
    this.#rotationMs = rotationSeconds * 1000;
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  /** Goes on as long as the process: `share` brings the material to all workers. */
  start(share: (material: TlsMaterial) => Promise<void>): void {
    this.#share = share;
    this.#timer = setInterval(
      () => void this.#change({ ticketKeys: randomBytes(TICKET_KEY_BYTES) }),
      this.#rotationMs,
    );
    this.#timer.unref();
  }

  /** Resolves when all workers answer with them. */
  useCertificates(certificates: readonly ObtainedCertificate[]): Promise<void> {
    return this.#change({ certificates });
  }

  /** Resolves when all workers answer to them. */
  useChallenges(challenges: readonly Challenge[]): Promise<void> {
    return this.#change({ challenges });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #change(part: Partial<TlsMaterial>): Promise<void> {
    this.#material = { ...this.#material, ...part };
    return this.#share(this.#material);
  }
}
