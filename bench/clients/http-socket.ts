// A client for one HTTP/1.1 connection that costs little enough to time others with: one request at a
// time, answers with Content-Length or with an empty body, nothing else.

import { connect, type Socket } from 'node:net';

export interface HttpAnswer {
  readonly status: number;
  /** Status line and fields. */
  readonly head: string;
  readonly body: string;
}

interface Waiting {
  resolve(answer: HttpAnswer): void;
  reject(error: Error): void;
}

export class HttpSocket {
  readonly #socket: Socket;
  #received = '';
  #waiting: Waiting | undefined;
  #error: Error | undefined;

  /**
   * Whether a request to this loopback port is answered, with whatever status. That the connection
   * opens is not enough: who starts may try the port before serving on it.
   */
  static answers(port: number): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port });
      socket.write('GET / HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n');
      socket.once('data', () => {
        resolve(true);
        socket.destroy();
      });
      socket.on('error', () => resolve(false));
      socket.on('close', () => resolve(false));
    });
  }

  static connect(port: number): Promise<HttpSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new HttpSocket(socket));
      });
    });
  }

  /** Makes one request on a connection of its own. */
  static async once(port: number, path: string): Promise<HttpAnswer> {
    const socket = await HttpSocket.connect(port);
    try {
      return await socket.get(path);
    } finally {
      socket.close();
    }
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#received += text;
      this.#look();
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the connection was closed')));
  }

  get(path: string, fields = ''): Promise<HttpAnswer> {
    return this.send(`GET ${path} HTTP/1.1\r\nHost: bench.test\r\n${fields}\r\n`);
  }

  /** Sends the bytes of a request. The one before must have been answered. */
  send(request: string): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#waiting = { resolve, reject };
      this.#socket.write(request, 'latin1');
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #look(): void {
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd < 0 || this.#waiting === undefined) return;
    const head = this.#received.slice(0, headEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) return this.#fail(new Error(`an answer without Content-Length:\n${head}`));
    const end = headEnd + 4 + Number(length);
    if (this.#received.length < end) return;
    const body = this.#received.slice(headEnd + 4, end);
    this.#received = this.#received.slice(end);
    const { resolve } = this.#waiting;
    this.#waiting = undefined;
    resolve({ status: Number(head.slice(9, 12)), head, body });
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#waiting?.reject(this.#error);
    this.#waiting = undefined;
    this.#socket.destroy();
  }
}
