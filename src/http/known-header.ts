import { FOLDED, nameHash, TOKEN } from './characters.ts';

/** Field names that the engine itself acts on, by small number; 0 is every other name. */
export const Known = {
  None: 0,
  Connection: 1,
  ContentLength: 2,
  TransferEncoding: 3,
  Host: 4,
  Expect: 5,
  Upgrade: 6,
  Te: 7,
  KeepAlive: 8,
  ProxyConnection: 9,
  ProxyAuthenticate: 10,
  ProxyAuthorization: 11,
  Http2Settings: 12,
  XForwardedFor: 13,
  XForwardedProto: 14,
  XForwardedHost: 15,
  XForwardedPort: 16,
  XRealIp: 17,
  Forwarded: 18,
  XConsumerUsername: 19,
  XCredentialIdentifier: 20,
  XConsumerCustomId: 21,
  Date: 22,
  Server: 23,
  UserAgent: 24,
  Authorization: 25,
  ContentType: 26,
  SecWebSocketVersion: 27,
  SecWebSocketKey: 28,
  Trailer: 29,
} as const;

const NAMES: readonly string[] = [
  '',
  'connection',
  'content-length',
  'transfer-encoding',
  'host',
  'expect',
  'upgrade',
  'te',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'http2-settings',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
  'forwarded',
  'x-consumer-username',
  'x-credential-identifier',
  'x-consumer-custom-id',
  'date',
  'server',
  'user-agent',
  'authorization',
  'content-type',
  'sec-websocket-version',
  'sec-websocket-key',
  'trailer',
];

// A table without collisions: the multiplier is searched once at start so that one probe decides.
const SIZE = 256;
const HASHES = Int32Array.from(NAMES, nameHash);
const BYTES = NAMES.map((name) => Buffer.from(name, 'latin1'));
const TABLE = new Uint8Array(SIZE);
const MULTIPLIER = findMultiplier();

function findMultiplier(): number {
  for (let multiplier = 0x9e3779b1; ; multiplier += 2) {
    TABLE.fill(0);
    let clear = true;
    for (let known = 1; known < NAMES.length && clear; known++) {
      const place = Math.imul(HASHES[known], multiplier) >>> 24;
      clear = TABLE[place] === 0;
      TABLE[place] = known;
    }
    if (clear) return multiplier;
  }
}

/**
 * The number of a known name in `bytes[start, end)` whose nameHash is `hash`; 0 for other names;
 * negative when it is a known name only after folding `_` to `-`, which some servers do: such
 * a field could be taken for the real one behind us.
 */
export function knownHeader(bytes: Uint8Array, start: number, end: number, hash: number): number {
  const known = TABLE[Math.imul(hash, MULTIPLIER) >>> 24];
  if (known === 0 || HASHES[known] !== hash) return 0;
  const name = BYTES[known];
  if (name.length !== end - start) return 0;
  let folded = false;
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i];
    if (TOKEN[byte] !== name[i]) {
      if (FOLDED[byte] !== name[i]) return 0;
      folded = true;
    }
  }
  return folded ? -known : known;
}

/** Fields that mean nothing for framing, routing or identity, and so may also come after a body. */
const TRAILING: ReadonlySet<number> = new Set([Known.Date, Known.Server, Known.UserAgent]);
const NOT_TRAILING: ReadonlySet<number> = new Set(
  [...HASHES].filter((_, known) => known !== Known.None && !TRAILING.has(known)),
);

/** Whether a field whose name has this hash may stand in a trailer section (RFC 9110 6.5.1). */
export function nameMayTrail(hash: number): boolean {
  return !NOT_TRAILING.has(hash);
}

/** The number of a known name in lower case; 0 for other names. */
export function knownNumber(name: string): number {
  const known = TABLE[Math.imul(nameHash(name), MULTIPLIER) >>> 24];
  return known !== 0 && NAMES[known] === name ? known : 0;
}
