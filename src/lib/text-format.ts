const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const EMAIL = /^[A-Za-z0-9_\-.]+@[A-Za-z0-9_\-.]+\.[A-Za-z]{2,4}$/;
const HOSTNAME = /^[a-zA-Z0-9\-.]+$/;

/** RFC 4291 section 2.2, with `::` and a dotted IPv4 tail. */
function isIpv6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  let groups = 0;
  for (const [half, part] of halves.entries()) {
    const pieces = part === '' ? [] : part.split(':');
    for (const [index, piece] of pieces.entries()) {
      const last = half === halves.length - 1 && index === pieces.length - 1;
      if (last && piece.includes('.') && IPV4.test(piece)) groups += 2;
      else if (/^[0-9a-fA-F]{1,4}$/.test(piece)) groups += 1;
      else return false;
    }
  }
  return halves.length === 2 ? groups < 8 : groups === 8;
}

/** The values of JSON Schema's `format` that are checked. */
export const FORMATS: Readonly<Record<string, { name: string; matches(text: string): boolean }>> = {
  ipv4: { name: 'ipv4', matches: (text) => IPV4.test(text) },
  ipv6: { name: 'ipv6', matches: isIpv6 },
  email: { name: 'email', matches: (text) => EMAIL.test(text) },
  hostname: { name: 'hostname', matches: (text) => HOSTNAME.test(text) },
};
