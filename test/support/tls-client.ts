// A client of TLS connections, one request after the other on each.

import tls from 'node:tls';

export interface TlsAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

export class TlsClient {
  readonly socket: tls.TLSSocket;
  /** What came and was not taken. */
  #received = '';
  #wake: () => void = () => {};
  #ended: Error | true | undefined;
  #session: Buffer | undefined;

  /** Resolves when the handshake is complete on this side; rejects with the alert's error when it fails. */
  static connect(port: number, options: tls.ConnectionOptions = {}): Promise<TlsClient> {
    return new Promise((resolve, reject) => {
      const socket = tls.connect({
        host: '127.0.0.1',
        port,
        rejectUnauthorized: options.ca !== undefined,
        ...options,
      });
      const client = new TlsClient(socket);
      socket.once('secureConnect', () => resolve(client));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed')));
    });
  }

  private constructor(socket: tls.TLSSocket) {
    this.socket = socket;
    socket.on('session', (session) => {
      this.#session = session;
      this.#wake();
    });
    socket.setEncoding('latin1').on('data', (text) => {
      this.#received += text;
      this.#wake();
    });
    const end = (error: Error | true) => {
      this.#ended ??= error;
      this.#wake();
    };
    socket.on('error', end);
    socket.on('end', () => end(true));
    socket.on('close', () => end(true));
  }

  /** Sends a GET and waits for the whole answer. Rejects when the connection ends before. */
  async get(path: string, host = 'a.example', fields: readonly string[] = []): Promise<TlsAnswer> {
    this.socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`,
    );
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end >= 0) {
        const head = this.#received.slice(0, end);
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (this.#received.length >= end + 4 + length) {
          const body = this.#received.slice(end + 4, end + 4 + length);
          this.#received = this.#received.slice(end + 4 + length);
          return { status: Number(head.slice(9, 12)), head, body };
        }
      }
      await this.#more();
    }
  }

  /** A session to go on with, as TLS 1.3 sends it after the handshake. */
  async session(): Promise<Buffer> {
    while (this.#session === undefined) await this.#more();
    return this.#session;
  }

  close(): void {
    this.socket.destroy();
  }

  async #more(): Promise<void> {
    if (this.#ended !== undefined) {
      throw this.#ended === true ? new Error('the connection ended') : this.#ended;
    }
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** Connects, asks once, closes. */
export async function secureGet(
  port: number,
  path: string,
  options: tls.ConnectionOptions & { readonly host?: string } = {},
): Promise<TlsAnswer> {
  const { host, ...connection } = options;
  const client = await TlsClient.connect(port, connection);
  try {
    return await client.get(path, host ?? connection.servername);
  } finally {
    client.close();
  }
}

/** Which certificate answers to a name, by its serial number. */
export async function serialOf(port: number, servername: string): Promise<string> {
  const client = await TlsClient.connect(port, { servername });
  const { serialNumber } = client.socket.getPeerCertificate();
  client.close();
  return serialNumber;
}
