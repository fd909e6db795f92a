import net from 'node:net';

/** An answer byte by byte, as far as a head and a body can be told apart. */
export interface RawAnswer {
  readonly statusLine: string;
  readonly status: number;
  /** In the order and case of the wire. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Without the framing of chunks. */
  readonly body: string;
  /** Whether the server closed the connection by itself afterwards. */
  readonly closed: boolean;
}

/** The value of the first field with that name, or undefined. */
export function field(answer: RawAnswer, name: string): string | undefined {
  return answer.fields.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
}

/** Sends bytes as they are on a connection of their own and reads one final answer. */
export function rawCall(port: number, bytes: string, options: { head?: boolean } = {}): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    let ended = false;
    const finish = (): void => {
      const answer = parse(text, options.head === true, ended);
      if (answer === undefined) {
        if (ended) reject(new Error(`the connection ended within an answer: ${JSON.stringify(text)}`));
        return;
      }
      // What must close does so at once; what stays open is closed here.
      if (!ended && answer.closed) return;
      socket.destroy();
      resolve({ ...answer, closed: ended });
    };
    socket.setEncoding('latin1');
    socket.on('error', reject);
    socket.on('data', (part) => {
      text += part;
      finish();
    });
    socket.on('end', () => {
      ended = true;
      finish();
    });
    socket.write(bytes, 'latin1');
  });
}

/** The answer, or undefined while it isn't complete; `closed` tells that it announces the connection's end. */
function parse(text: string, isHead: boolean, ended: boolean): RawAnswer | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [statusLine, ...lines] = text.slice(0, end).split('\r\n');
  const fields = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const status = Number(statusLine.split(' ')[1]);
  const rest = text.slice(end + 4);
  if (status >= 100 && status < 200 && status !== 101) return parse(rest, isHead, ended);
  const value = (name: string) => fields.find(([key]) => key.toLowerCase() === name)?.[1];
  const closed = value('connection')?.toLowerCase() === 'close';
  const answer = (body: string): RawAnswer => ({ statusLine, status, fields, body, closed });
  if (isHead || status === 204 || status === 304) return answer('');
  if (value('transfer-encoding') === 'chunked')
    return rest.endsWith('0\r\n\r\n') ? answer(dechunk(rest)) : undefined;
  const length = value('content-length');
  if (length === undefined) return ended ? answer(rest) : undefined;
  return rest.length >= Number(length) ? answer(rest.slice(0, Number(length))) : undefined;
}

function dechunk(text: string): string {
  let body = '';
  let at = 0;
  for (;;) {
    const line = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, line), 16);
    if (!(size > 0)) return body;
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}
