// One reading of a path for the router, for the Plugins and for the Upstream: whoever matches on
// something else than what is forwarded can be walked around (`/public/..%2e/admin`).

const UNRESERVED = /[A-Za-z0-9\-._~]/;

/**
 * Normalises a path (RFC 3986 6.2.2): decodes escaped unreserved characters, resolves dot segments,
 * merges doubled slashes. Other escapes stay as they are, `%2F` among them: it is not a slash.
 * undefined when the path can't be trusted: a broken escape, an escaped NUL.
 */
export function normalizePath(path: string): string | undefined {
  let decoded = path;
  if (path.includes('%')) {
    decoded = '';
    for (let i = 0; i < path.length; i++) {
      if (path[i] !== '%') {
        decoded += path[i];
        continue;
      }
      const hex = path.slice(i + 1, i + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(hex) || hex === '00') return undefined;
      const character = String.fromCharCode(Number.parseInt(hex, 16));
      decoded += UNRESERVED.test(character) ? character : `%${hex}`;
      i += 2;
    }
  }
  const segments: string[] = [];
  const parts = decoded.split('/');
  for (let i = 1; i < parts.length; i++) {
    const part = parts[i];
    const last = i === parts.length - 1;
    if (part === '..') {
      segments.pop();
      if (last) segments.push('');
    } else if (part === '.') {
      if (last) segments.push('');
    } else if (part !== '' || last) segments.push(part);
  }
  return `/${segments.join('/')}`;
}
