import { createHash } from 'node:crypto';
import type tls from 'node:tls';
import { compilePattern, type Pattern } from '../lib/pattern.ts';
import { certificatesIn } from '../model/certificate.ts';
import type { Ssl } from '../model/ssl.ts';

/** How clients prove who they are, where an SSL wants it. */
export interface ClientAuthentication {
  /** PEM. */
  readonly ca: string;
  readonly crl: string | undefined;
  /** Fingerprints of the roots in `ca`. */
  readonly roots: ReadonlySet<string>;
  /** The most certificates between the client's and a root. */
  readonly depth: number;
  /** Paths that anybody may ask for; undefined when everybody has to prove it in the handshake. */
  readonly skip: readonly Pattern[] | undefined;
}

/** An SSL, or a certificate that the gateway got for itself, made ready to answer with. */
export interface ServerIdentity {
  readonly id: string;
  readonly options: tls.SecureContextOptions;
  readonly clients: ClientAuthentication | undefined;
  /** The same for two identities whose clients prove the same thing; empty when they prove nothing. */
  readonly trust: string;
}

/** Mozilla's "intermediate" without finite-field DHE: forward secrecy and authenticated encryption only. */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** A ticket is good for so many seconds, unless its key is replaced before. */
const SESSION_SECONDS = 3600;
/** OpenSSL's SSL_OP_NO_TICKET. */
const NO_TICKETS = 1 << 14;

/** What is needed of an SSL; also what a certificate obtained by ourselves has. */
export type IdentitySource = Pick<Ssl, 'cert' | 'key' | 'certs' | 'keys' | 'client' | 'ssl_protocols'>;

/** Makes an SSL ready. Throws when it can't be used, which was checked when it was written. */
export function serverIdentity(id: string, source: IdentitySource): ServerIdentity {
  const { client, ssl_protocols: protocols = ['TLSv1.2', 'TLSv1.3'] } = source;
  const clients = client && {
    ca: client.ca,
    crl: client.crl,
    roots: new Set(
      certificatesIn(client.ca)
        .filter((one) => one.checkIssued(one))
        .map(({ fingerprint256 }) => fingerprint256),
    ),
    depth: client.depth ?? 1,
    skip: client.skip_mtls_uri_regex?.map((source) => compilePattern(source)),
  };
  const trust =
    clients === undefined ? '' : digest(`${id}\n${clients.depth}\n${clients.ca}\n${clients.crl ?? ''}`);
  return {
    id,
    clients,
    trust,
    options: {
      ...pairsByKind(source),
      // Without this OpenSSL would load the system's roots for a context that verifies nobody.
      ca: clients?.ca ?? [],
      ...(clients?.crl !== undefined && { crl: clients.crl }),
      minVersion: protocols.includes('TLSv1.2') ? 'TLSv1.2' : 'TLSv1.3',
      maxVersion: protocols.includes('TLSv1.3') ? 'TLSv1.3' : 'TLSv1.2',
      ciphers: CIPHERS,
      // With ciphers that are all good, a client knows best which one it has hardware for.
      honorCipherOrder: false,
      // A session says that its client was verified once. Who wants proof gets it every time: then
      // no session made for another name, another CA or before a revocation can stand in for it.
      ...(clients === undefined ? {} : { secureOptions: NO_TICKETS }),
      sessionIdContext: digest(`${id}\n${trust}`).slice(0, 32),
      sessionTimeout: SESSION_SECONDS,
    },
  };
}

/** OpenSSL keeps one pair of each kind of key, such as RSA and ECDSA; of several the last counts, as with APISIX. */
function pairsByKind({ cert = '', key = '', certs = [], keys = [] }: IdentitySource) {
  const pairs = new Map<string, { cert: string; key: string }>();
  for (const [index, one] of [cert, ...certs].entries()) {
    const { publicKey } = certificatesIn(one)[0];
    pairs.set(publicKey.asymmetricKeyType ?? '', { cert: one, key: [key, ...keys][index] });
  }
  const all = [...pairs.values()];
  return { cert: all.map((pair) => pair.cert), key: all.map((pair) => pair.key) };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
