import { createPrivateKey, X509Certificate } from 'node:crypto';
import { Type } from '../lib/schema.ts';

export const certificate = Type.String({ minLength: 128, maxLength: 64 * 1024 });
export const privateKey = Type.String({ minLength: 64, maxLength: 64 * 1024, secret: true });

/** Why a PEM certificate and its key can't be used, or undefined. The text never quotes the key. */
export function checkCertificate(pem: string, key?: string): string | undefined {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(pem);
  } catch {
    return 'failed to parse cert: not a certificate in PEM form';
  }
  if (key === undefined) return undefined;
  try {
    return parsed.checkPrivateKey(createPrivateKey(key)) ? undefined : 'the key does not belong to the cert';
  } catch {
    return 'failed to parse key: not a private key in PEM form';
  }
}
