import dgram from 'node:dgram';
import type { Scope } from './echo-upstream.ts';

/** A DNS server that knows addresses of names, and how often it was asked. */
export interface NameServer {
  /** `127.0.0.1:port` */
  readonly address: string;
  /** IPv4 addresses by name; what is not here does not exist. */
  readonly names: Map<string, readonly string[]>;
  asked: number;
  close(): Promise<void>;
}

const TYPE_A = 1;

/** Starts a server whose answers live `ttl` seconds. */
export async function startNameServer(scope: Scope, ttl: number): Promise<NameServer> {
  const socket = dgram.createSocket('udp4');
  const server: NameServer = {
    address: '',
    names: new Map(),
    asked: 0,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
  socket.on('message', (query, peer) => {
    server.asked++;
    socket.send(answer(query, server.names, ttl), peer.port, peer.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  let closed = false;
  socket.once('close', () => {
    closed = true;
  });
  scope.after(() => (closed ? undefined : server.close()));
  return Object.assign(server, { address: `127.0.0.1:${socket.address().port}` });
}

/** RFC 1035, 4.1: the header, the one question repeated, the records. */
function answer(query: Buffer, names: NameServer['names'], ttl: number): Buffer {
  let at = 12;
  const labels: string[] = [];
  while (query[at] > 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]));
    at += query[at] + 1;
  }
  const questionEnd = at + 5;
  const known = names.get(labels.join('.').toLowerCase());
  const addresses = known !== undefined && query.readUInt16BE(at + 1) === TYPE_A ? known : [];
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(known === undefined ? 0x8583 : 0x8580, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses.length, 6);
  const records = addresses.map((address) => {
    const record = Buffer.from([
      0xc0,
      12,
      0,
      TYPE_A,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      4,
      ...address.split('.').map(Number),
    ]);
    record.writeUInt32BE(ttl, 6);
    return record;
  });
  return Buffer.concat([header, query.subarray(12, questionEnd), ...records]);
}
