// What TLS needs besides the SSLs of the configuration: the supervisor makes it, every worker has it.

/** A certificate that the gateway got for itself. */
export interface ObtainedCertificate {
  /** Names it in logs and metrics. */
  readonly id: string;
  readonly snis: readonly string[];
  /** PEM, the leaf first. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

/** What a certificate authority asks for as proof that a name is ours (RFC 8555 8.3, RFC 8737). */
export type Challenge =
  | { readonly type: 'http-01'; readonly token: string; readonly answer: string }
  | { readonly type: 'tls-alpn-01'; readonly name: string; readonly cert: string; readonly key: string };

/** Sent whole whenever a part changes. */
export interface TlsMaterial {
  /** 48 bytes: with the same ones, any worker resumes the sessions of any other. */
  readonly ticketKeys: Uint8Array;
  readonly certificates: readonly ObtainedCertificate[];
  readonly challenges: readonly Challenge[];
}

/** The protocol of tls-alpn-01 (RFC 8737 3). */
export const CHALLENGE_PROTOCOL = 'acme-tls/1';
