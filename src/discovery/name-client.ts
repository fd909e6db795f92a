import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { connect, isIPv6 } from 'node:net';
import { answerTo, type DnsAnswer, type DnsRecord, question, type RecordType } from './dns-message.ts';

const TIMEOUT_MS = 2000;
const TRIES = 2;
const NO_SUCH_NAME = 3;

interface Server {
  readonly address: string;
  readonly port: number;
}

/** Asks name servers for records: by UDP, by TCP what doesn't fit, and the next server where one fails. */
export class NameClient {
  readonly #servers: readonly string[];

  /** `address` or `address:port`; the system's (resolv.conf) where there are none. */
  constructor(servers: readonly string[]) {
    this.#servers = servers;
  }

  /** The records; none where the servers say that there are none. Rejects when no server says either. */
  async query(name: string, type: RecordType, signal: AbortSignal): Promise<readonly DnsRecord[]> {
    // The system's may change as it moves to another network.
    const servers = (this.#servers.length > 0 ? this.#servers : getServers()).map(serverOf);
    let reason = 'there are no name servers';
    for (let round = 0; round < TRIES; round++) {
      for (const server of servers) {
        if (signal.aborted) throw new Error('stopped');
        const asked = question(randomInt(0x10000), name, type);
        try {
          const first = await byUdp(server, asked, signal);
          const answer = first.truncated ? await byTcp(server, asked, signal) : first;
          if (answer.code === 0 || answer.code === NO_SUCH_NAME) return answer.records;
          reason = `answered with code ${answer.code}`;
        } catch (error) {
          reason = error instanceof Error ? error.message : String(error);
        }
        reason = `${server.address}:${server.port}: ${reason}`;
      }
    }
    throw new Error(`${type} records of ${name}: ${reason}`);
  }
}

function serverOf(written: string): Server {
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(written);
  if (bracketed !== null) return { address: bracketed[1], port: Number(bracketed[2] ?? 53) };
  if (isIPv6(written)) return { address: written, port: 53 };
  const [address, port = '53'] = written.split(':');
  return { address, port: Number(port) };
}

/** From a port of its own each time, which nobody can guess (RFC 5452, 9.2). */
function byUdp({ address, port }: Server, asked: Buffer, signal: AbortSignal): Promise<DnsAnswer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const end = (act: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      socket.close();
      act();
    };
    const fail = (error: Error) => end(() => reject(error));
    const stop = () => fail(new Error('stopped'));
    const timer = setTimeout(() => fail(new Error('no answer in time')), TIMEOUT_MS);
    signal.addEventListener('abort', stop);
    socket.once('error', fail);
    socket.on('message', (message) => {
      const answer = attempt(asked, message);
      // What was not asked for may be forged: the true answer may still come.
      if (answer !== undefined) end(() => resolve(answer));
    });
    socket.connect(port, address, () => socket.send(asked));
  });
}

function attempt(asked: Buffer, message: Buffer): DnsAnswer | undefined {
  try {
    return answerTo(asked, message);
  } catch {
    return undefined;
  }
}

/** With two bytes of length in front (RFC 7766, 8). */
function byTcp({ address, port }: Server, asked: Buffer, signal: AbortSignal): Promise<DnsAnswer> {
  return new Promise((resolve, reject) => {
    const length = Buffer.of(asked.length >> 8, asked.length & 0xff);
    const socket = connect({ host: address, port, signal });
    let received: Buffer = Buffer.alloc(0);
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('no answer in time')));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('no answer')));
    socket.on('data', (part: Buffer) => {
      received = Buffer.concat([received, part]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const answer = attempt(asked, received.subarray(2));
      if (answer === undefined) reject(new Error('an answer that makes no sense'));
      else resolve(answer);
      socket.destroy();
    });
    socket.write(Buffer.concat([length, asked]));
  });
}
