import type { ServerResponse } from 'node:http';

/** What the Admin API answers. An object becomes a line of JSON; a text is sent as it is. */
export interface AdminReply {
  readonly status: number;
  readonly body?: Readonly<Record<string, unknown>> | readonly unknown[] | string;
  /** Whether a resource gave the answer, which then names the API's version. */
  readonly versioned?: boolean;
  /** `application/json` unless said otherwise. */
  readonly type?: string;
}

export function errorReply(status: number, message: string): AdminReply {
  return { status, body: { error_msg: message } };
}

const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Credentials': 'true',
  'Access-Control-Expose-Headers': '*',
  'Access-Control-Max-Age': '3600',
};

const PREFLIGHT = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'POST, GET, PUT, OPTIONS, DELETE, PATCH',
  'Access-Control-Max-Age': '3600',
  'Access-Control-Allow-Headers': '*',
  'Access-Control-Allow-Credentials': 'true',
};

export function send(response: ServerResponse, { status, body, versioned, type }: AdminReply): void {
  const text = body === undefined ? '' : typeof body === 'string' ? body : `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'Content-Type': type ?? 'application/json',
    Server: 'sluice',
    ...CORS,
    ...(versioned && { 'X-API-VERSION': 'v3' }),
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

export function sendPreflight(response: ServerResponse): void {
  response.writeHead(200, {
    'Content-Type': 'text/plain; charset=utf-8',
    Server: 'sluice',
    ...PREFLIGHT,
    'Content-Length': 0,
  });
  response.end();
}

const PAGES: Readonly<Record<number, string>> = { 403: '403 Forbidden', 404: '404 Not Found' };

/** The plain page of a place that is none of the Admin API's. */
export function sendPage(response: ServerResponse, status: 403 | 404): void {
  const title = PAGES[status];
  const page = `<html>\n<head><title>${title}</title></head>\n<body>\n<center><h1>${title}</h1></center>\n<hr><center>sluice</center>\n</body>\n</html>\n`;
  response.writeHead(status, {
    Server: 'sluice',
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': Buffer.byteLength(page),
  });
  response.end(page);
}
