import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { fieldValue, type RequestSpec } from './suite.ts';

/** One request as the origin saw it. */
export interface SeenRequest {
  readonly number: number;
  readonly method: string;
  readonly headers: http.IncomingHttpHeaders;
  /** The fields of the response that should arrive as they are. */
  readonly checked: readonly (readonly [name: string, value: string])[];
}

/** Answers the requests of tests as they prescribe, and remembers what came. */
export class Origin {
  readonly #tests = new Map<
    string,
    { readonly requests: readonly RequestSpec[]; readonly seen: SeenRequest[] }
  >();
  readonly server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    request.resume();
    request.on('end', () => this.#answer(request, response));
  });

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return (this.server.address() as AddressInfo).port;
  }

  expect(token: string, requests: readonly RequestSpec[]): readonly SeenRequest[] {
    const seen: SeenRequest[] = [];
    this.#tests.set(token, { requests, seen });
    return seen;
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const token = request.url?.split(/[/?]/)[2] ?? '';
    const test = this.#tests.get(token);
    const number = Number(request.headers['req-num']);
    const spec = test?.requests[number - 1];
    if (test === undefined || spec === undefined) {
      response.writeHead(409).end();
      return;
    }
    const answer = () => respond(request, response, token, spec, test.requests[number - 2], test.seen);
    if (spec.response_pause === undefined) answer();
    else setTimeout(answer, spec.response_pause * 1000);
  }
}

function respond(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  token: string,
  spec: RequestSpec,
  previous: RequestSpec | undefined,
  seen: SeenRequest[],
): void {
  const now = Date.now();
  for (const [status, headers = []] of spec.interim_responses ?? []) {
    if (status === 102) response.writeProcessing();
    else response.writeEarlyHints(Object.fromEntries(headers) as never);
  }
  const { url = '', method = '', headers } = request;
  response.statusCode = statusFor(spec, previous, headers);
  response.setHeader('Server-Base-Url', url);
  response.setHeader('Server-Request-Count', seen.length + 1);
  response.setHeader('Client-Request-Count', Number(headers['req-num']));
  response.setHeader('Server-Now', now);
  const checked = new Map<string, string>();
  for (const [name, given, isChecked] of spec.response_headers ?? []) {
    const value = fieldValue(name, given, spec, now, url);
    // Remembered for the next request, which may ask about it.
    dates.set(`${token} ${headers['req-num']} ${name.toLowerCase()}`, value);
    if (response.hasHeader(name)) response.appendHeader(name, value);
    else response.setHeader(name, value);
    if (isChecked !== false) {
      const all = response.getHeader(name);
      checked.set(name, Array.isArray(all) ? all.join(', ') : String(all));
    }
  }
  if (!response.hasHeader('content-type')) response.setHeader('Content-Type', 'text/plain');
  seen.push({ number: Number(headers['req-num']), method, headers, checked: [...checked] });
  response.setHeader('Request-Numbers', seen.map((one) => one.number).join(' '));
  if (spec.disconnect) response.socket?.destroy();
  else if (response.statusCode === 204 || response.statusCode === 304) response.end();
  else response.end(spec.response_body || token);
}

const dates = new Map<string, string>();

/** 304 when the request names the previous response as it should, 999 when it was to and doesn't. */
function statusFor(
  spec: RequestSpec,
  previous: RequestSpec | undefined,
  headers: http.IncomingHttpHeaders,
): number {
  if (!spec.expected_type?.endsWith('validated')) return spec.response_status?.[0] ?? 200;
  const token = headers['test-token'];
  const before = (name: string) => {
    const value = previous?.response_headers?.find(([own]) => own.toLowerCase() === name)?.[1];
    // A date depends on when it was sent; what was not sent at all may still be what is stored.
    return value && (dates.get(`${token} ${Number(headers['req-num']) - 1} ${name}`) ?? String(value));
  };
  const modified = before('last-modified');
  const etag = before('etag');
  const same =
    (modified !== undefined && headers['if-modified-since'] === modified) ||
    (etag !== undefined && headers['if-none-match'] === etag);
  return same ? 304 : 999;
}
