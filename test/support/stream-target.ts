// Targets that speak no HTTP: they say who they are and send back what they get.

import dgram from 'node:dgram';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import type { Scope } from './echo-upstream.ts';

const CERTIFICATES = path.join(import.meta.dirname, 'certificates');

export interface StreamTarget {
  readonly port: number;
  /** All that clients have sent, one text for each connection (TCP) or datagram (UDP). */
  readonly received: readonly string[];
  /** Connections that are open. */
  readonly open: number;
}

export interface StreamTargetOptions {
  /** Said to a client at once. */
  readonly greeting?: string;
  /** Said after a client has ended its side. */
  readonly farewell?: string;
  readonly tls?: boolean;
  /** Ends a connection by a reset as soon as it gets this. */
  readonly resetOn?: string;
}

/** A TCP echo that ends its side when the client has. */
export async function startStreamTarget(
  scope: Scope,
  { greeting, farewell = '', tls: secure = false, resetOn }: StreamTargetOptions = {},
): Promise<StreamTarget> {
  const received: string[] = [];
  const sockets = new Set<net.Socket>();
  const accept = (socket: net.Socket): void => {
    const index = received.push('') - 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    if (greeting !== undefined) socket.write(greeting);
    socket.on('data', (bytes: Buffer) => {
      received[index] += bytes.latin1Slice();
      if (resetOn !== undefined && received[index].includes(resetOn)) socket.resetAndDestroy();
      else socket.write(bytes);
    });
    socket.on('end', () => socket.end(farewell));
  };
  const server = secure
    ? tls.createServer(
        {
          cert: readFileSync(path.join(CERTIFICATES, 'server.crt')),
          key: readFileSync(path.join(CERTIFICATES, 'server.key')),
        },
        accept,
      )
    : net.createServer({ allowHalfOpen: true }, accept);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  scope.after(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  );
  const { port } = server.address() as net.AddressInfo;
  return {
    port,
    received,
    get open() {
      return sockets.size;
    },
  };
}

/** A UDP server that answers each datagram with its name and the datagram. */
export async function startUdpTarget(scope: Scope, name: string): Promise<StreamTarget> {
  const received: string[] = [];
  const socket = dgram.createSocket('udp4');
  socket.on('message', (datagram, from) => {
    received.push(datagram.latin1Slice());
    socket.send(`${name}:${datagram.latin1Slice()}`, from.port, from.address);
  });
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve);
  });
  scope.after(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return { port: socket.address().port, received, open: 0 };
}

/** A client of UDP with a port of its own. */
export class UdpClient {
  readonly socket: dgram.Socket;
  readonly answers: string[] = [];

  private constructor(socket: dgram.Socket) {
    this.socket = socket;
    socket.on('message', (datagram) => this.answers.push(datagram.latin1Slice()));
    socket.on('error', () => {});
  }

  static async connect(scope: Scope, port: number): Promise<UdpClient> {
    const socket = dgram.createSocket('udp4');
    const client = new UdpClient(socket);
    await new Promise<void>((resolve) => {
      socket.connect(port, '127.0.0.1', () => resolve());
    });
    scope.after(() => new Promise<void>((resolve) => socket.close(() => resolve())));
    return client;
  }

  send(text: string): void {
    this.socket.send(Buffer.from(text, 'latin1'));
  }
}
