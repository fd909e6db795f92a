import type { IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';

export interface GetOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls?: Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized'>;
  /** Milliseconds until there is a connection, and until the head of the answer is there. */
  readonly connectMs: number;
  readonly headMs: number;
  readonly signal: AbortSignal;
}

/** The largest answer that is taken whole. */
const MAX_BYTES = 32 * 1024 * 1024;

/**
 * Sends a GET on a connection of its own; resolves with the head of the answer. The connection ends
 * with the signal, also while the body comes. Rejects with what it was that didn't answer.
 */
export async function httpGet(url: URL, options: GetOptions): Promise<IncomingMessage> {
  const { headers, tls, connectMs, headMs, signal } = options;
  const { request } = url.protocol === 'https:' ? await import('node:https') : await import('node:http');
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { ...tls, headers, agent: false, signal });
    const fail = (why: string) => outgoing.destroy(new Error(why));
    let timer = setTimeout(fail, connectMs, 'no connection in time');
    outgoing.on('socket', (socket) => {
      socket.setKeepAlive(true, 30_000);
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer);
        timer = setTimeout(fail, headMs, 'no answer in time');
      });
    });
    outgoing.on('response', (message) => {
      clearTimeout(timer);
      resolve(message);
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(new Error(`${url.origin}: ${error.message || error.code}`));
    });
    outgoing.on('close', () => clearTimeout(timer));
    outgoing.end();
  });
}

/** The lines of a body as they come, without the empty ones. Ends early when nothing comes for `silenceMs`. */
export async function* linesOf(message: IncomingMessage, silenceMs: number): AsyncGenerator<string> {
  let text = '';
  message.setTimeout(silenceMs, () => message.destroy(new Error('nothing came for too long')));
  for await (const part of message.setEncoding('utf8')) {
    text += part;
    if (text.length > MAX_BYTES) throw new Error('an endless line');
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield line;
  }
}

/** The body parsed; rejects for one that is too large, too slow or not JSON. */
export async function jsonOf(message: IncomingMessage, silenceMs: number): Promise<unknown> {
  let text = '';
  message.setTimeout(silenceMs, () => message.destroy(new Error('the answer does not end')));
  for await (const part of message.setEncoding('utf8')) {
    text += part;
    if (text.length > MAX_BYTES) throw new Error('the answer is too large');
  }
  return JSON.parse(text);
}
