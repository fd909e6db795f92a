// Writes small files in MaxMind's DB format (maxmind.github.io/MaxMind-DB), for tests.

import { isIPv4 } from 'node:net';

export type MmdbValue =
  | string
  | number
  | boolean
  | readonly MmdbValue[]
  | { readonly [key: string]: MmdbValue };

type Tree = [Tree | number | undefined, Tree | number | undefined];

/** A database of networks such as `192.0.2.0/24` or `2001:db8::/32`, and what is known of them. */
export function writeMmdb(networks: Readonly<Record<string, MmdbValue>>, type = 'Test-City'): Buffer {
  const root: Tree = [undefined, undefined];
  const data: Buffer[] = [];
  let size = 0;
  for (const [network, value] of Object.entries(networks)) {
    const [address, prefix] = network.split('/');
    const bits = bitsOf(address).slice(0, Number(prefix) + (isIPv4(address) ? 96 : 0));
    let node = root;
    for (const bit of bits.slice(0, -1)) {
      const next = node[bit];
      node = typeof next === 'object' ? next : ((node[bit] = [undefined, undefined]) as Tree);
    }
    node[bits.at(-1)!] = size;
    const bytes = encode(value);
    data.push(bytes);
    size += bytes.length;
  }
  const nodes: Tree[] = [root];
  for (const node of nodes) for (const child of node) if (typeof child === 'object') nodes.push(child);
  const numbers = new Map(nodes.map((node, index) => [node, index]));
  const tree = Buffer.alloc(nodes.length * 6);
  nodes.forEach((node, index) => {
    node.forEach((child, side) => {
      const record =
        typeof child === 'object'
          ? numbers.get(child)!
          : nodes.length + (child === undefined ? 0 : 16 + child);
      tree.writeUIntBE(record, index * 6 + side * 3, 3);
    });
  });
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_750_000_000,
    database_type: type,
    description: { en: 'made for a test' },
    ip_version: 6,
    languages: ['en'],
    node_count: nodes.length,
    record_size: 24,
  });
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
  return Buffer.concat([tree, Buffer.alloc(16), ...data, marker, metadata]);
}

/** An address as 128 bits; IPv4 lies in ::/96. */
function bitsOf(address: string): (0 | 1)[] {
  const groups = isIPv4(address) ? [] : sixteens(address);
  const bytes = isIPv4(address)
    ? [...Array<number>(12).fill(0), ...address.split('.').map(Number)]
    : groups.flatMap((group) => [group >> 8, group & 255]);
  return bytes.flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((shift) => ((byte >> shift) & 1) as 0 | 1));
}

function sixteens(address: string): number[] {
  const [left, right = ''] = address.split('::');
  const parse = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [head, tail] = [parse(left), parse(right)];
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

const TYPE = { string: 2, double: 3, uint32: 6, map: 7, array: 11, boolean: 14 } as const;

function encode(value: MmdbValue): Buffer {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    return Buffer.concat([control(TYPE.string, bytes.length), bytes]);
  }
  if (typeof value === 'boolean') return control(TYPE.boolean, value ? 1 : 0);
  if (typeof value === 'number') {
    if (Number.isInteger(value) && value >= 0) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      return Buffer.concat([control(TYPE.uint32, 4), bytes]);
    }
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return Buffer.concat([control(TYPE.double, 8), bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([control(TYPE.array, value.length), ...value.map(encode)]);
  const entries = Object.entries(value);
  return Buffer.concat([
    control(TYPE.map, entries.length),
    ...entries.flatMap(([key, inner]) => [encode(key), encode(inner)]),
  ]);
}

/** The byte or bytes before a value: its type, and its size where it has one. */
function control(type: number, size: number): Buffer {
  if (size > 284) throw new RangeError('too large for a test');
  const [first, extended] = type < 8 ? [type << 5, []] : [0, [type - 7]];
  return Buffer.from(size < 29 ? [first | size, ...extended] : [first | 29, ...extended, size - 29]);
}
