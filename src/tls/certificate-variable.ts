// A client's certificate as nginx's variables show it.

import type { X509Certificate } from 'node:crypto';

/** The value of a variable such as `ssl_client_s_dn`, or undefined. */
export function certificateVariable(certificate: X509Certificate, name: string): string | undefined {
  switch (name) {
    case 'ssl_client_s_dn':
      return distinguishedName(certificate.subject);
    case 'ssl_client_i_dn':
      return distinguishedName(certificate.issuer);
    case 'ssl_client_serial':
      return certificate.serialNumber;
    case 'ssl_client_fingerprint':
      return certificate.fingerprint.replaceAll(':', '').toLowerCase();
    case 'ssl_client_v_start':
      return certificate.validFrom;
    case 'ssl_client_v_end':
      return certificate.validTo;
    case 'ssl_client_v_remain':
      return String(Math.max(0, Math.floor((Date.parse(certificate.validTo) - Date.now()) / 86_400_000)));
    case 'ssl_client_raw_cert':
      return certificate.toString();
    // nginx's own `ssl_client_cert` has line breaks in it and is good for nothing but a header that
    // no server takes any more.
    case 'ssl_client_cert':
    case 'ssl_client_escaped_cert':
      return encodeURIComponent(certificate.toString());
    case 'ssl_client_spiffe_id':
      return spiffeId(certificate);
    default:
      return undefined;
  }
}

/** Node has a line for each part, in the certificate's order; RFC 4514 wants them the other way round on one line. */
function distinguishedName(lines: string): string {
  return lines
    .split('\n')
    .reverse()
    .map((part) => part.replaceAll(' + ', '+'))
    .join(',')
    .replace(/[^\0-\x7f]+/g, escapeBytes);
}

function escapeBytes(text: string): string {
  return Buffer.from(text).toString('hex').toUpperCase().replace(/../g, '\\$&');
}

/** The one URI of a SPIFFE certificate (X509-SVID 2); undefined when there is none or more than one URI. */
function spiffeId({ subjectAltName = '' }: X509Certificate): string | undefined {
  // Node quotes a name in which a comma could be mistaken for a separator.
  const uris = subjectAltName.split(', ').filter((name) => name.startsWith('URI:'));
  if (uris.length !== 1) return undefined;
  const uri = uris[0].slice(4);
  return /^spiffe:\/\/[a-z0-9._-]{1,255}(\/[A-Za-z0-9._/-]+)?$/.test(uri) ? uri : undefined;
}
