// An upstream to play with: it answers with what it received.
//
//   node examples/echo/echo.ts               on 127.0.0.1:8080
//   node examples/echo/echo.ts 8080 8081     on two ports, as two Targets
//
// /status/503 answers with that status, /never doesn't answer at all.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** Fields that any HTTP client sends, and that would only be in the way. */
const USUAL = new Set(['host', 'connection', 'user-agent', 'accept', 'accept-encoding', 'content-length']);

/** A server that answers with what it received, and with its own name. */
export function createEcho(name: string): Server {
  return createServer((request, response) => void echo(name, request, response));
}

async function echo(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = '/', rawHeaders } = request;
  if (url.startsWith('/never')) return;
  const lines = [`${method} ${url} at ${name}`, `Host: ${request.headers.host}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!USUAL.has(rawHeaders[i].toLowerCase())) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  }
  let body = '';
  for await (const piece of request.setEncoding('utf8')) body += piece;
  if (body !== '') lines.push('', body);
  const status = /^\/status\/([2-5]\d\d)\b/.exec(url);
  response.writeHead(status === null ? 200 : Number(status[1]), {
    'Content-Type': 'text/plain',
    'X-Powered-By': 'echo',
  });
  response.end(`${lines.join('\n')}\n`);
}

if (import.meta.main) {
  const ports = process.argv.length > 2 ? process.argv.slice(2) : ['8080'];
  for (const port of ports) {
    createEcho(port).listen(Number(port), '127.0.0.1', () => console.log(`http://127.0.0.1:${port}`));
  }
}
