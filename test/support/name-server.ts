import dgram from 'node:dgram';
import net from 'node:net';
import type { Scope } from './echo-upstream.ts';

/** A record of type SRV (RFC 2782). */
export interface ServiceRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** A DNS server that knows addresses of names, and how often it was asked. */
export interface NameServer {
  /** `127.0.0.1:port` */
  readonly address: string;
  /** IPv4 and IPv6 addresses by name; what is neither here nor in `services` does not exist. */
  readonly names: Map<string, readonly string[]>;
  /** SRV records by name. */
  readonly services: Map<string, readonly ServiceRecord[]>;
  asked: number;
  /** Seconds. */
  ttl: number;
  /** Whether answers by UDP have no room for records: they are there by TCP. */
  truncates: boolean;
  /** Whether somebody else answers first, who doesn't know the question's id. */
  forges: boolean;
  /** Nobody listens there until `reopen`. */
  close(): Promise<void>;
  reopen(): Promise<void>;
}

const TYPE_A = 1;
const TYPE_AAAA = 28;
const TYPE_SRV = 33;

/** Starts a server whose answers live `ttl` seconds. */
export async function startNameServer(scope: Scope, ttl: number): Promise<NameServer> {
  let socket = dgram.createSocket('udp4');
  let open = false;
  let streams: net.Server | undefined;
  const listen = async (port: number): Promise<void> => {
    socket = dgram.createSocket('udp4');
    socket.on('message', (query, peer) => {
      server.asked++;
      const message = answer(query, server);
      if (!open) return;
      if (server.forges) {
        const forged = Buffer.from(message);
        forged.writeUInt16BE(forged.readUInt16BE(0) ^ 0xffff, 0);
        socket.send(forged, peer.port, peer.address);
      }
      socket.send(server.truncates ? truncated(message, query) : message, peer.port, peer.address);
    });
    await new Promise<void>((resolve) => socket.bind(port, '127.0.0.1', resolve));
    streams = await listenTcp(server, socket.address().port);
    open = true;
  };
  let port = 0;
  const server: NameServer = {
    address: '',
    names: new Map(),
    services: new Map(),
    asked: 0,
    ttl,
    truncates: false,
    forges: false,
    async close() {
      if (!open) return;
      open = false;
      streams?.close();
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
    reopen: () => listen(port),
  };
  await listen(0);
  port = socket.address().port;
  scope.after(() => server.close());
  return Object.assign(server, { address: `127.0.0.1:${port}` });
}

/** With two bytes of length in front of questions and answers (RFC 1035, 4.2.2). */
async function listenTcp(names: NameServer, port: number): Promise<net.Server | undefined> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (part: Buffer) => {
      const message = answer(part.subarray(2), names);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      socket.end(Buffer.concat([length, message]));
    });
  });
  // A port that is free for UDP need not be for TCP, which few tests want.
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

/** The head and the question, and that there would be more. */
function truncated(message: Buffer, query: Buffer): Buffer {
  let end = 12;
  while (query[end] > 0) end += query[end] + 1;
  const short = Buffer.from(message.subarray(0, end + 5));
  short.writeUInt16BE(short.readUInt16BE(2) | 0x0200, 2);
  short.writeUInt16BE(0, 6);
  return short;
}

/** RFC 1035, 4.1: the header, the one question repeated, the records. */
function answer(query: Buffer, { names, services, ttl }: NameServer): Buffer {
  let at = 12;
  const labels: string[] = [];
  while (query[at] > 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]));
    at += query[at] + 1;
  }
  const name = labels.join('.').toLowerCase();
  const type = query.readUInt16BE(at + 1);
  const addresses = names.get(name) ?? [];
  const data =
    type === TYPE_A
      ? addresses.filter((address) => !address.includes(':')).map(ipv4)
      : type === TYPE_AAAA
        ? addresses.filter((address) => address.includes(':')).map(ipv6)
        : type === TYPE_SRV
          ? (services.get(name) ?? []).map(serviceData)
          : [];
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(names.has(name) || services.has(name) ? 0x8580 : 0x8583, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(data.length, 6);
  const records = data.map((bytes) => {
    const fixed = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, bytes.length]);
    fixed.writeUInt32BE(ttl, 6);
    return Buffer.concat([fixed, bytes]);
  });
  return Buffer.concat([header, query.subarray(12, at + 5), ...records]);
}

function ipv4(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** Of an address with at most one `::`. */
function ipv6(address: string): Buffer {
  const [head, tail] = address.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = tail === undefined ? 0 : 8 - head.length - tail.length;
  const groups = [...head, ...new Array<string>(zeros).fill('0'), ...(tail ?? [])];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function serviceData({ priority, weight, port, target }: ServiceRecord): Buffer {
  const numbers = Buffer.alloc(6);
  numbers.writeUInt16BE(priority, 0);
  numbers.writeUInt16BE(weight, 2);
  numbers.writeUInt16BE(port, 4);
  const labels = target.split('.').filter((label) => label !== '');
  return Buffer.concat([
    numbers,
    ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.of(0),
  ]);
}
