import type { Value } from '../model/resource.ts';

/** Someone the gateway can recognise, as Plugins see them. */
export interface Consumer {
  readonly username: string;
  readonly groupId: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly customId: string | undefined;
}

/** A credential that was found: whose it is and what was configured with it. */
export interface CredentialMatch {
  readonly consumer: Consumer;
  /** Set when it is a Credential of its own, not one on the Consumer. */
  readonly credentialId: string | undefined;
  /** The auth Plugin's config on the Consumer or Credential, secrets decrypted and resolved. */
  readonly config: Value;
}

/** All credentials of one auth Plugin, live: a revoked one is gone at the next look. */
export interface CredentialIndex {
  /** `identity` is what the Plugin's `credential.identity` computed from the config. */
  find(identity: string): CredentialMatch | undefined;
  /** A Consumer by username, for `anonymous_consumer`; with no credential's config. */
  consumer(username: string): CredentialMatch | undefined;
}
