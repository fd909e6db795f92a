// Certificates that the gateway gets for itself: the supervisor asks for them, every worker answers
// the authority's questions and serves what comes of it.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { AcmeClient } from '../acme/acme-client.ts';
import { CertificateFolder } from '../acme/certificate-folder.ts';
import { CertificateKeeper } from '../acme/certificate-keeper.ts';
import type { Settings } from '../model/settings.ts';
import type { Challenge, ObtainedCertificate } from '../model/tls-material.ts';
import type { Logger } from '../plugin/kit.ts';

/** What becomes of certificates and challenges. */
export interface AcmeUse {
  useCertificates(certificates: readonly ObtainedCertificate[]): Promise<void>;
  useChallenges(challenges: readonly Challenge[]): Promise<void>;
}

export interface Acme {
  /** Those kept from earlier. */
  readonly certificates: readonly ObtainedCertificate[];
  start(use: AcmeUse): void;
  stop(): void;
}

/** Opens what is kept in the data directory. Throws when it can't be read, or `directory_ca` can't. */
export function openAcme(settings: Settings, dataDirectory: string, log: Logger): Acme {
  const { directory, directory_ca: caFile, email, challenge, domains } = settings.acme;
  const folder = new CertificateFolder(path.resolve(dataDirectory), directory);
  let use: AcmeUse | undefined;
  const challenges = new Set<Challenge>();
  const client = new AcmeClient({
    directory,
    ca: caFile === '' ? undefined : readAuthority(caFile),
    email,
    challenge,
    accountKey: folder.accountKey(),
    async present(one) {
      challenges.add(one);
      await use?.useChallenges([...challenges]);
      return async () => {
        challenges.delete(one);
        await use?.useChallenges([...challenges]);
      };
    },
  });
  const keeper = new CertificateKeeper({
    names: [...new Set(domains.map((name) => name.toLowerCase()))],
    log,
    load: (name) => folder.load(name),
    save: (name, certificate) => folder.save(name, certificate),
    obtain: (name) => client.obtain(name),
    use: async (certificates) => use?.useCertificates(certificates),
  });
  if (!settings.listeners.some(({ tls }) => tls)) {
    log.warn('acme.domains has no effect on traffic: no listener has tls');
  }
  return {
    certificates: keeper.certificates,
    start(given) {
      use = given;
      keeper.start();
    },
    stop: () => keeper.stop(),
  };
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`acme.directory_ca: ${error instanceof Error ? error.message : error}`);
  }
}
