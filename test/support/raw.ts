// HTTP as bytes: a client and an Upstream that add nothing, repair nothing and remember everything.
import net from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

/** How long anything here waits before it says what it was waiting for, in milliseconds. */
const PATIENCE = 5_000;

export type Ending = 'open' | 'end' | 'reset';

/** Waits for `condition`, asked again after every event and every few milliseconds. */
export async function until(what: string, condition: () => boolean, patience = PATIENCE): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > patience) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function bytesOf(data: string | Uint8Array): Buffer {
  return typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data);
}

/** One end of a TCP connection that records all bytes and how the other end finished. */
export class RawSocket {
  readonly socket: net.Socket;
  readonly #pieces: Buffer[] = [];
  #received = 0;
  ending: Ending = 'open';
  closed = false;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (piece: Buffer) => {
      this.#received += piece.length;
      this.#pieces.push(piece);
    });
    socket.on('end', () => {
      if (this.ending === 'open') this.ending = 'end';
    });
    socket.on('error', () => {
      this.ending = 'reset';
    });
    socket.on('close', () => {
      this.closed = true;
    });
  }

  get length(): number {
    return this.#received;
  }

  get received(): Buffer {
    if (this.#pieces.length > 1) this.#pieces.splice(0, this.#pieces.length, Buffer.concat(this.#pieces));
    return this.#pieces[0] ?? Buffer.alloc(0);
  }

  get text(): string {
    return this.received.latin1Slice();
  }

  /** Sends all at once. */
  write(data: string | Uint8Array): void {
    this.socket.write(bytesOf(data));
  }

  /** Sends in pieces of `size` bytes (or random sizes up to a function's word), each a segment of its own. */
  async writeSliced(data: string | Uint8Array, size: number | (() => number)): Promise<void> {
    const bytes = bytesOf(data);
    for (let at = 0; at < bytes.length && !this.socket.destroyed && this.ending === 'open'; ) {
      const step = Math.max(1, typeof size === 'number' ? size : size());
      this.socket.write(bytes.subarray(at, at + step));
      at += step;
      await turn();
    }
  }

  /** Waits until the text received satisfies a condition. */
  async has(condition: string | RegExp | ((text: string) => boolean)): Promise<string> {
    const holds = (text: string) =>
      typeof condition === 'string'
        ? text.includes(condition)
        : condition instanceof RegExp
          ? condition.test(text)
          : condition(text);
    try {
      await until(String(condition), () => holds(this.text));
    } catch (error) {
      throw new Error(`${(error as Error).message}; got ${JSON.stringify(this.text.slice(0, 2000))}`);
    }
    return this.text;
  }

  /** Waits for the other end to finish; all that came. */
  async finished(): Promise<string> {
    try {
      await until('the end of the connection', () => this.ending !== 'open' || this.closed);
    } catch (error) {
      throw new Error(`${(error as Error).message}; got ${JSON.stringify(this.text.slice(0, 2000))}`);
    }
    return this.text;
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

export class RawClient extends RawSocket {
  static async connect(port: number): Promise<RawClient> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const client = new RawClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  /** Complete responses received, split by their own framing; what is left over comes last. */
  responses(methods: readonly string[] = []): RawResponse[] {
    return splitResponses(this.received, methods, this.ending !== 'open');
  }
}

/** Sends bytes on a connection of their own and gives all that came until the gateway closed it. */
export async function converse(port: number, data: string, slice?: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  if (slice === undefined) client.write(data);
  else await client.writeSliced(data, slice);
  await client.finished();
  client.destroy();
  return client;
}

export interface RawResponse {
  readonly status: number;
  readonly head: string;
  /** Decoded when it came in chunks. */
  readonly body: string;
  readonly fields: ReadonlyMap<string, string>;
  readonly complete: boolean;
}

/** Splits what a connection carried into responses, as strictly as a careful client would. */
export function splitResponses(bytes: Buffer, methods: readonly string[], ended: boolean): RawResponse[] {
  const responses: RawResponse[] = [];
  let text = bytes.latin1Slice();
  let finals = 0;
  while (text !== '') {
    const headEnd = text.indexOf('\r\n\r\n');
    const head = headEnd < 0 ? text : text.slice(0, headEnd);
    const match = /^HTTP\/1\.1 (\d{3})(?: [^\r\n]*)?(?:\r\n|$)/.exec(head);
    if (headEnd < 0 || match === null) {
      responses.push({ status: 0, head, body: '', fields: new Map(), complete: false });
      break;
    }
    const status = Number(match[1]);
    const fields = new Map<string, string>();
    for (const line of head.split('\r\n').slice(1)) {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      fields.set(name, fields.has(name) ? `${fields.get(name)}\n${value}` : value);
    }
    let rest = text.slice(headEnd + 4);
    let body = '';
    let complete = true;
    const interim = status < 200 && status !== 101;
    const method = interim ? '' : (methods[finals++] ?? 'GET');
    if (interim || status === 204 || status === 304 || method === 'HEAD') {
      // no body
    } else if (status === 101) {
      body = rest;
      rest = '';
    } else if (fields.get('transfer-encoding') === 'chunked') {
      const decoded = dechunkText(rest);
      complete = decoded !== undefined;
      body = decoded?.body ?? rest;
      rest = decoded?.rest ?? '';
    } else if (fields.has('content-length')) {
      const length = Number(fields.get('content-length'));
      body = rest.slice(0, length);
      complete = rest.length >= length;
      rest = rest.slice(length);
    } else {
      body = rest;
      rest = '';
      complete = ended;
    }
    responses.push({ status, head, body, fields, complete });
    text = rest;
  }
  return responses;
}

/** Decodes a chunked body at the start of a text; undefined when it isn't whole and well-formed. */
export function dechunkText(
  text: string,
): { body: string; trailers: string; rest: string; length: number } | undefined {
  let at = 0;
  let body = '';
  for (;;) {
    const line = /^([0-9A-Fa-f]{1,16})(;[^\r\n]*)?\r\n/.exec(text.slice(at, at + 20_000));
    if (line === null) return undefined;
    const size = Number.parseInt(line[1], 16);
    at += line[0].length;
    if (size === 0) break;
    if (text.length < at + size + 2 || text.slice(at + size, at + size + 2) !== '\r\n') return undefined;
    body += text.slice(at, at + size);
    at += size + 2;
  }
  const start = at;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    if (lineEnd === at)
      return { body, trailers: text.slice(start, at), rest: text.slice(at + 2), length: at + 2 };
    at = lineEnd + 2;
  }
}

/** A request as the Upstream got it, to the byte. */
export interface RawRequest {
  readonly head: string;
  readonly method: string;
  readonly target: string;
  /** Values by name in lower case, several joined by a line feed. */
  readonly fields: ReadonlyMap<string, string>;
  /** Decoded when it came in chunks. */
  readonly body: string;
  readonly trailers: string;
  readonly connection: RawSocket;
  /** Which request on its connection, from 1. */
  readonly number: number;
}

export interface UpstreamScript {
  /** The head is there; what it returns is sent at once, before any body is read. */
  onHead?(request: RawRequest): string | Uint8Array | void;
  /** The whole request is there. Without it, a short answer names the target. */
  onRequest?(request: RawRequest): string | Uint8Array | void | Promise<string | Uint8Array | void>;
  onConnection?(connection: RawSocket): void;
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A strict Upstream: what isn't plainly one request after the other is a finding in `problems`. */
export class RawUpstream {
  readonly server: net.Server;
  readonly requests: RawRequest[] = [];
  readonly connections: RawSocket[] = [];
  readonly problems: string[] = [];
  script: UpstreamScript;

  private constructor(script: UpstreamScript) {
    this.script = script;
    this.server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  static async start(script: UpstreamScript = {}): Promise<RawUpstream> {
    const upstream = new RawUpstream(script);
    await new Promise<void>((resolve) => {
      upstream.server.listen(0, '127.0.0.1', resolve);
    });
    return upstream;
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  get open(): number {
    return this.connections.filter((connection) => !connection.closed && connection.ending === 'open').length;
  }

  async close(): Promise<void> {
    for (const connection of this.connections) connection.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #accept(socket: net.Socket): void {
    const connection = new RawSocket(socket);
    this.connections.push(connection);
    this.script.onConnection?.(connection);
    let at = 0;
    let number = 0;
    let headSeen = false;
    let raw = false;
    const parse = () => {
      while (!raw) {
        const text = connection.received.latin1Slice(at);
        const headEnd = text.indexOf('\r\n\r\n');
        if (headEnd < 0) return;
        const head = text.slice(0, headEnd);
        const request = this.#head(head, connection, number + 1);
        if (!headSeen) {
          headSeen = true;
          const early = this.script.onHead?.(request);
          if (early !== undefined) connection.write(early);
        }
        const body = this.#body(request, text.slice(headEnd + 4));
        if (body === undefined) return;
        at += headEnd + 4 + body.length;
        number++;
        headSeen = false;
        const whole = { ...request, body: body.body, trailers: body.trailers };
        this.requests.push(whole);
        // After a switch of protocols the bytes are no requests any more.
        raw = this.#answer(whole);
      }
    };
    socket.on('data', parse);
    socket.on('end', () => {
      if (!raw && connection.length > at)
        this.problems.push(`cut off: ${connection.received.latin1Slice(at)}`);
      socket.end();
    });
  }

  /** Sends what the script says; whether that switches protocols. */
  #answer(request: RawRequest): boolean {
    const { onRequest, onHead } = this.script;
    const { connection } = request;
    // A connection that the script has ended answers nothing more.
    if (connection.socket.writableEnded) return false;
    if (onRequest === undefined) {
      if (onHead === undefined) connection.write(OK);
      return false;
    }
    const answer = onRequest.call(this.script, request);
    if (answer instanceof Promise) void answer.then((late) => late !== undefined && connection.write(late));
    else if (answer !== undefined) {
      connection.write(answer);
      return bytesOf(answer).latin1Slice(0, 12) === 'HTTP/1.1 101';
    }
    return false;
  }

  #head(head: string, connection: RawSocket, number: number): RawRequest {
    const [line, ...rest] = head.split('\r\n');
    const start = /^([A-Z_-]+) (\/[!-"$-~]*|\*) HTTP\/1\.1$/.exec(line);
    if (start === null) this.problems.push(`request line: ${line}`);
    const fields = new Map<string, string>();
    for (const field of rest) {
      const match =
        /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*$/.exec(
          field,
        );
      if (match === null) {
        this.problems.push(`field: ${JSON.stringify(field)}`);
        continue;
      }
      const name = match[1].toLowerCase();
      fields.set(name, fields.has(name) ? `${fields.get(name)}\n${match[2]}` : match[2]);
    }
    for (const single of ['host', 'content-length', 'transfer-encoding', 'x-real-ip', 'x-forwarded-for'])
      if (fields.get(single)?.includes('\n')) this.problems.push(`several ${single}: ${head}`);
    if (!fields.has('host')) this.problems.push(`no host: ${head}`);
    const coding = fields.get('transfer-encoding');
    if (coding !== undefined && coding !== 'chunked') this.problems.push(`coding: ${coding}`);
    if (coding !== undefined && fields.has('content-length')) this.problems.push(`two framings: ${head}`);
    const folded = [...fields.keys()].filter((name) => name.includes('_'));
    for (const name of folded)
      if (['content_length', 'transfer_encoding', 'host'].includes(name)) this.problems.push(`name: ${name}`);
    return {
      head,
      method: start?.[1] ?? '',
      target: start?.[2] ?? '',
      fields,
      body: '',
      trailers: '',
      connection,
      number,
    };
  }

  #body(request: RawRequest, text: string): { body: string; trailers: string; length: number } | undefined {
    const length = request.fields.get('content-length');
    if (request.fields.has('transfer-encoding')) return dechunkText(text);
    if (length === undefined) return { body: '', trailers: '', length: 0 };
    if (!/^\d+$/.test(length)) this.problems.push(`length: ${length}`);
    if (text.length < Number(length)) return undefined;
    return { body: text.slice(0, Number(length)), trailers: '', length: Number(length) };
  }
}
