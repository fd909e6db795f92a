import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** What an echo saw. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface EchoUpstream {
  /** `127.0.0.1:port` */
  readonly address: string;
  readonly port: number;
  readonly server: http.Server;
  readonly requests: readonly Seen[];
  /** Connections accepted so far. */
  readonly connections: number;
  close(): Promise<void>;
}

/** Answers something else than the echo: true means that it has, or will. */
export type Answering = (
  seen: Seen,
  response: http.ServerResponse,
  request: http.IncomingMessage,
) => boolean | void;

/** Who a test's things end with. */
export type Scope = Pick<TestContext, 'after'>;

/**
 * An upstream that answers with JSON `{method, url, rawHeaders, body, upstream}` what it was sent. Paths that
 * begin with `/status/` get that status, `/delay/` an answer after so many milliseconds.
 */
export async function startEcho(scope: Scope, answering: Answering = () => false): Promise<EchoUpstream> {
  const requests: Seen[] = [];
  let connections = 0;
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part) => parts.push(part));
    request.on('error', () => {});
    request.on('end', () => {
      const { method = '', url = '', rawHeaders } = request;
      const seen = { method, url, rawHeaders, body: Buffer.concat(parts).toString('utf8') };
      requests.push(seen);
      if (answering(seen, response, request) === true) return;
      const { port } = server.address() as AddressInfo;
      const status = Number(/^\/status\/(\d+)/.exec(url)?.[1] ?? 200);
      const delay = Number(/^\/delay\/(\d+)/.exec(url)?.[1] ?? 0);
      const answer = (): void => {
        const text = JSON.stringify({ ...seen, upstream: port });
        response.writeHead(status, {
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(text),
          'X-Upstream': String(port),
        });
        response.end(text);
      };
      if (delay === 0) return answer();
      const timer = setTimeout(answer, delay);
      response.on('close', () => clearTimeout(timer));
    });
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  scope.after(close);
  return {
    address: `127.0.0.1:${port}`,
    port,
    server,
    requests,
    get connections() {
      return connections;
    },
    close,
  };
}

/** The value of a field as it was sent, or undefined. */
export function fieldOf(rawHeaders: readonly string[], name: string): string | undefined {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index].toLowerCase() === name.toLowerCase()) return rawHeaders[index + 1];
  }
  return undefined;
}
