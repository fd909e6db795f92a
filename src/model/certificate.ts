import { createPrivateKey, X509Certificate } from 'node:crypto';
import { Type } from '../lib/schema.ts';

export const certificate = Type.String({ minLength: 128, maxLength: 64 * 1024 });
export const privateKey = Type.String({ minLength: 64, maxLength: 64 * 1024, secret: true });

const PEM = /-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----[\s\S]+?-----END \1-----/g;

/** The certificates of a PEM text, each by itself. Throws when one of them is none. */
export function certificatesIn(pem: string): X509Certificate[] {
  const found = pem.match(PEM);
  if (found === null) throw new Error('not a certificate in PEM form');
  return found.map((one) => new X509Certificate(one));
}

/** Why a PEM certificate and its key can't be used, or undefined. The text never quotes the key. */
export function checkCertificate(pem: string, key?: string): string | undefined {
  let leaf: X509Certificate;
  try {
    [leaf] = certificatesIn(pem);
  } catch {
    return 'failed to parse cert: not a certificate in PEM form';
  }
  if (key === undefined) return undefined;
  try {
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return 'the key does not belong to the cert';
  } catch {
    return 'failed to parse key: not a private key in PEM form';
  }
  const refused = tryContext({ cert: pem, key });
  return refused && `the cert can't be used: ${refused}`;
}

/** Why a PEM list of revoked certificates can't be used, or undefined. */
export function checkRevocations(pem: string): string | undefined {
  return tryContext({ crl: pem }) && 'failed to parse crl: not a list of revoked certificates in PEM form';
}

/** What OpenSSL has against it, such as a key that is too short, in its own words. */
function tryContext(options: { cert?: string; key?: string; crl?: string }): string | undefined {
  // Most configurations have no certificate, and then need no TLS.
  const tls = process.getBuiltinModule('node:tls');
  try {
    tls.createSecureContext({ ...options, ca: [] });
    return undefined;
  } catch (error) {
    const { reason, message } = error as Error & { reason?: string };
    return reason ?? message;
  }
}
