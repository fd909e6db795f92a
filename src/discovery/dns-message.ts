// Questions and answers of DNS (RFC 1035, 4; SRV: RFC 2782). Node's resolver keeps the TTL of SRV
// records to itself, and they are to be honoured.

export type RecordType = 'A' | 'AAAA' | 'SRV';

export type DnsRecord =
  | { readonly type: 'A' | 'AAAA'; readonly ttl: number; readonly address: string }
  | {
      readonly type: 'SRV';
      readonly ttl: number;
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      /** Without the dot at its end; empty for the root, which says that there is no such service. */
      readonly target: string;
    };

export interface DnsAnswer {
  /** It did not fit: to be asked for by TCP. */
  readonly truncated: boolean;
  /** 0 for success, 3 where the name doesn't exist, else a failure. */
  readonly code: number;
  /** Those of the type that was asked for, also at the end of CNAMEs. Their TTL is the shortest on the way there. */
  readonly records: readonly DnsRecord[];
}

const TYPES: Readonly<Record<RecordType, number>> = { A: 1, AAAA: 28, SRV: 33 };
const CNAME = 5;
const OPT = 41;
const INTERNET = 1;
/** What fits through every network in one piece (RFC 9715). */
const UDP_BYTES = 1232;

/** A recursive question with EDNS. Throws for a name that DNS can't have. */
export function question(id: number, name: string, type: RecordType): Buffer {
  const labels = name.replace(/\.$/, '').split('.');
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label, 'latin1');
    if (bytes.length === 0 || bytes.length > 63) throw new Error(`${name} is no name for DNS`);
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  });
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const asked = Buffer.concat([...parts, Buffer.of(0, 0, TYPES[type], 0, INTERNET)]);
  if (asked.length > 255 + 4) throw new Error(`${name} is too long for DNS`);
  const edns = Buffer.of(0, 0, OPT, UDP_BYTES >> 8, UDP_BYTES & 0xff, 0, 0, 0, 0, 0, 0);
  return Buffer.concat([header, asked, edns]);
}

/** The answer to a question; undefined for a message that isn't one. Throws a RangeError for one cut short. */
export function answerTo(asked: Buffer, message: Buffer): DnsAnswer | undefined {
  const questionEnd = asked.length - 11;
  const flags = message.readUInt16BE(2);
  const isAnswer = (flags & 0x8000) !== 0 && message.readUInt16BE(4) === 1;
  if (!isAnswer || !asked.subarray(0, 2).equals(message.subarray(0, 2))) return undefined;
  const repeated = message.toString('latin1', 12, questionEnd).toLowerCase();
  if (repeated !== asked.toString('latin1', 12, questionEnd).toLowerCase()) return undefined;
  const wanted = asked.readUInt16BE(questionEnd - 4);
  const records: DnsRecord[] = [];
  let ttl = 0x7fffffff;
  let at = questionEnd;
  for (let count = message.readUInt16BE(6); count > 0; count--) {
    at = nameAt(message, at).end;
    const type = message.readUInt16BE(at);
    const data = at + 10;
    const length = message.readUInt16BE(at + 8);
    if (data + length > message.length) throw new RangeError('a record is cut short');
    if (type === CNAME || type === wanted) ttl = Math.min(ttl, message.readUInt32BE(at + 4) & 0x7fffffff);
    if (type === wanted) records.push(recordOf(message, type, data, length));
    at = data + length;
  }
  return {
    truncated: (flags & 0x0200) !== 0,
    code: flags & 0xf,
    records: records.map((record) => ({ ...record, ttl })),
  };
}

function recordOf(message: Buffer, type: number, at: number, length: number): DnsRecord {
  if (type === TYPES.A) {
    if (length !== 4) throw new RangeError('an A record has 4 bytes');
    return { type: 'A', ttl: 0, address: message.subarray(at, at + 4).join('.') };
  }
  if (type === TYPES.AAAA) {
    if (length !== 16) throw new RangeError('an AAAA record has 16 bytes');
    const groups = Array.from({ length: 8 }, (_, group) => message.readUInt16BE(at + group * 2).toString(16));
    return { type: 'AAAA', ttl: 0, address: shortened(groups) };
  }
  return {
    type: 'SRV',
    ttl: 0,
    priority: message.readUInt16BE(at),
    weight: message.readUInt16BE(at + 2),
    port: message.readUInt16BE(at + 4),
    target: nameAt(message, at + 6).name,
  };
}

/** The canonical text of an IPv6 address (RFC 5952). */
function shortened(groups: readonly string[]): string {
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** A name with its pointers followed, and where it ends. */
function nameAt(message: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let end = -1;
  let at = start;
  // A pointer leads back; more of them than this lead round and round.
  for (let steps = 0; steps < 128; steps++) {
    const length = message.readUInt8(at);
    if (length === 0) return { name: labels.join('.'), end: end < 0 ? at + 1 : end };
    if (length >= 0xc0) {
      if (end < 0) end = at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
      continue;
    }
    if (length > 63 || at + 1 + length > message.length) throw new RangeError('a name is cut short');
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  throw new RangeError('a name without end');
}
