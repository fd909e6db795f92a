// What is signed besides JSON: the request for a certificate (RFC 2986), and the certificate that
// proves control of a name within TLS (RFC 8737).

import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { bits, integer, octets, oid, sequence, set, tagged, taggedText, time, utf8, yes } from './der.ts';

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const EXTENSION_REQUEST = oid('1.2.840.113549.1.9.14');
const ALTERNATIVE_NAMES = oid('2.5.29.17');
/** RFC 8737 6.1. */
const ACME_IDENTIFIER = oid('1.3.6.1.5.5.7.1.31');
const COMMON_NAME = oid('2.5.4.3');
const DNS_NAME = 2;
const DAY_MS = 86_400_000;

/** A certificate request for names, signed with an EC key; DER. */
export function certificateRequest(key: KeyObject, names: readonly string[]): Buffer {
  const extensions = sequence(alternativeNames(names));
  const attributes = tagged(0, sequence(EXTENSION_REQUEST, set(extensions)));
  return signed(key, sequence(integer(Buffer.of(0)), sequence(), publicPart(key), attributes));
}

/** A self-signed certificate that shows the digest of a challenge's answer; PEM. */
export function challengeCertificate(key: KeyObject, name: string, digest: Uint8Array): string {
  const subject = sequence(set(sequence(COMMON_NAME, utf8('ACME challenge'))));
  const now = Date.now();
  const der = signed(
    key,
    sequence(
      tagged(0, integer(Buffer.of(2))),
      integer(randomBytes(8)),
      ECDSA_SHA256,
      subject,
      sequence(time(now - DAY_MS), time(now + DAY_MS)),
      subject,
      publicPart(key),
      tagged(3, sequence(alternativeNames([name]), sequence(ACME_IDENTIFIER, yes, octets(octets(digest))))),
    ),
  );
  const lines = der.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function alternativeNames(names: readonly string[]): Buffer {
  const list = sequence(...names.map((name) => taggedText(DNS_NAME, name)));
  return sequence(ALTERNATIVE_NAMES, octets(list));
}

function publicPart(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

function signed(key: KeyObject, content: Buffer): Buffer {
  return sequence(content, ECDSA_SHA256, bits(sign('sha256', content, key)));
}
