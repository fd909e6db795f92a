import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { type Reply, reply } from '../plugin/reply.ts';
import { certificateVariable } from './certificate-variable.ts';
import type { ServerCertificates } from './server-certificates.ts';
import type { ServerIdentity } from './server-identity.ts';

/** APISIX's answer where a client has not proved who it is. */
const UNPROVED = reply(400, undefined, { reason: 'client_certificate' });
/** The client may ask again on a connection of its own for this name (RFC 9110 15.5.20). */
const MISDIRECTED = reply(421, undefined, { reason: 'misdirected' });

/** What nginx calls the most usual of OpenSSL's codes. */
const VERIFY_TEXTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not yet valid',
  CERT_REVOKED: 'certificate revoked',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed certificate in certificate chain',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unable to get local issuer certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unable to verify the first certificate',
  CERT_CHAIN_TOO_LONG: 'certificate chain too long',
};

/** What a connection's handshake found out. */
export class TlsSession {
  readonly identity: ServerIdentity;
  readonly protocol: string;
  readonly cipher: string;
  /** As the client sent it, in lower case; undefined when it named nobody. */
  readonly serverName: string | undefined;
  readonly reused: boolean;
  /** nginx's words: `SUCCESS`, `NONE`, or `FAILED:` and why. */
  readonly verify: string;
  /** The client's, verified or not. */
  readonly certificate: X509Certificate | undefined;
  readonly #certificates: ServerCertificates;

  constructor(
    socket: TLSSocket,
    serverName: string | undefined,
    identity: ServerIdentity,
    certificates: ServerCertificates,
  ) {
    this.identity = identity;
    this.serverName = serverName;
    this.#certificates = certificates;
    this.protocol = socket.getProtocol() ?? '';
    this.cipher = socket.getCipher()?.name ?? '';
    this.reused = socket.isSessionReused();
    const { clients } = identity;
    this.certificate = clients === undefined ? undefined : socket.getPeerX509Certificate();
    if (clients === undefined || this.certificate === undefined) this.verify = 'NONE';
    else if (!socket.authorized) this.verify = failure(String(socket.authorizationError));
    else if (chainTooLong(socket, clients.roots, clients.depth)) this.verify = failure('CERT_CHAIN_TOO_LONG');
    else this.verify = 'SUCCESS';
  }

  /** Whether the client has proved all that this connection's SSL asks for. */
  get verified(): boolean {
    return this.verify === 'SUCCESS';
  }

  /**
   * Why a request for this host and path can't be taken on this connection, by the SSLs of this
   * moment; undefined when it can. The host decides, not the name in the handshake: otherwise who
   * asks for an unprotected name could go on to a protected one.
   */
  refusal(host: string, path: string): Reply | undefined {
    if (!this.#certificates.asksClients) return undefined;
    const identity = host === '' ? this.identity : this.#certificates.find(host);
    if (identity?.clients === undefined) return undefined;
    if (identity.trust !== this.identity.trust) return MISDIRECTED;
    if (this.verified || identity.clients.skip?.some((pattern) => pattern.test(path))) return undefined;
    return UNPROVED;
  }

  /** The value of a variable that begins with `ssl_`. */
  variable(name: string): string | undefined {
    switch (name) {
      case 'ssl_protocol':
        return this.protocol;
      case 'ssl_cipher':
        return this.cipher;
      case 'ssl_server_name':
        return this.serverName;
      case 'ssl_session_reused':
        return this.reused ? 'r' : '.';
      case 'ssl_client_verify':
        return this.verify;
      default:
        return this.certificate && certificateVariable(this.certificate, name);
    }
  }
}

function failure(code: string): string {
  return `FAILED:${VERIFY_TEXTS[code] ?? code.toLowerCase().replaceAll('_', ' ')}`;
}

/**
 * OpenSSL can limit the length of a chain, but Node doesn't let it. The chain must end at a root that
 * we know by its bytes: a client may add certificates that only look like those of the true chain.
 */
function chainTooLong(socket: TLSSocket, roots: ReadonlySet<string>, depth: number): boolean {
  let certificate = socket.getPeerCertificate(true);
  for (let between = -1; between <= depth; between++) {
    if (roots.has(certificate.fingerprint256)) return false;
    const issuer = certificate.issuerCertificate;
    if (issuer === undefined || issuer.fingerprint256 === certificate.fingerprint256) return true;
    certificate = issuer;
  }
  return true;
}
