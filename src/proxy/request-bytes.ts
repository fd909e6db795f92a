import type { EvaluationRequest } from './explanation.ts';

/** A request as it would come over the wire, and what the wire would not tell. */
export interface RequestBytes {
  /** Head and body. */
  readonly bytes: Buffer;
  readonly scheme: 'http' | 'https';
  /** The port that the URL names. */
  readonly port: number | undefined;
}

/**
 * Writes a request as HTTP/1.1. The target stays as it is written: what it becomes is the gateway's
 * to say. Throws a TypeError for what no client could send.
 */
export function requestBytes(request: EvaluationRequest): RequestBytes {
  const { method = 'GET', headers = [] } = request;
  const { scheme, authority, target } = splitUrl(request.url);
  const body = typeof request.body === 'string' ? Buffer.from(request.body) : request.body;
  const lines = [`${method} ${target} HTTP/1.1`];
  const named = (name: string) => headers.some(([other]) => other.toLowerCase() === name);
  if (authority !== '' && !named('host')) lines.push(`Host: ${authority}`);
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (body !== undefined && !named('content-length') && !named('transfer-encoding'))
    lines.push(`Content-Length: ${body.length}`);
  for (const line of lines) {
    if (/[\r\n]/.test(line)) throw new TypeError(`a line break in ${JSON.stringify(line)}`);
  }
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
  const port = /:(\d+)$/.exec(authority)?.[1];
  return {
    bytes: body === undefined ? head : Buffer.concat([head, body]),
    scheme,
    port: port === undefined ? undefined : Number(port),
  };
}

/** Not by `new URL`, which would resolve the very dots and escapes that one wants explained. */
function splitUrl(url: string): { scheme: 'http' | 'https'; authority: string; target: string } {
  if (url.startsWith('/') || url === '*')
    return { scheme: 'http', authority: '', target: withoutFragment(url) };
  const match = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([^/?#]+)([^#]*)/i.exec(url);
  const scheme = (match?.[1] ?? 'http').toLowerCase();
  if (match === null || (scheme !== 'http' && scheme !== 'https'))
    throw new TypeError(`not an http or https URL: ${JSON.stringify(url)}`);
  const [, , authority, rest] = match;
  if (authority.includes('@'))
    throw new TypeError('name and password in a URL are not sent; give the header field Authorization');
  return { scheme, authority, target: rest.startsWith('/') ? rest : `/${rest}` };
}

function withoutFragment(target: string): string {
  const end = target.indexOf('#');
  return end < 0 ? target : target.slice(0, end);
}
