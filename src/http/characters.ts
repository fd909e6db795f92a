// What each byte may be in an HTTP/1.1 head. RFC 9110 5.6.2 (tokens), 5.5 (field values), RFC 3986.

const ALPHANUMERIC = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** For a token's bytes the lower-case byte, 0 for all others. */
export const TOKEN = new Uint8Array(256);
/** As TOKEN, with `_` folded to `-`: what names are hashed by, so that `Transfer_Encoding` is caught. */
export const FOLDED = new Uint8Array(256);
for (const character of `!#$%&'*+-.^_\`|~${ALPHANUMERIC}`) {
  const code = character.charCodeAt(0);
  TOKEN[code] = character.toLowerCase().charCodeAt(0);
  FOLDED[code] = character === '_' ? 45 : TOKEN[code];
}

/** 1 for bytes of a field value: HTAB, SP, VCHAR, obs-text. */
export const VALUE = new Uint8Array(256);
/** 1 for bytes of a request target: visible ASCII without `#`, which never goes over the wire. */
export const TARGET = new Uint8Array(256);
/** 1 for bytes of a method: upper-case letters, `-` and `_`, as nginx and APISIX have it. */
export const METHOD = new Uint8Array(256);
/** The value of a hexadecimal digit, -1 for other bytes. */
export const HEX = new Int8Array(256).fill(-1);
/** 1 for bytes of a registered host name or IPv4 address. */
export const HOST_NAME = new Uint8Array(256);

for (let code = 0; code < 256; code++) {
  VALUE[code] = (code >= 32 && code !== 127) || code === 9 ? 1 : 0;
  TARGET[code] = code > 32 && code < 127 && code !== 35 ? 1 : 0;
}
for (let code = 65; code <= 90; code++) METHOD[code] = 1;
METHOD[45] = 1;
METHOD[95] = 1;
for (let digit = 0; digit < 10; digit++) HEX[48 + digit] = digit;
for (let digit = 0; digit < 6; digit++) HEX[97 + digit] = HEX[65 + digit] = 10 + digit;
for (const character of `${ALPHANUMERIC}-._~`) HOST_NAME[character.charCodeAt(0)] = 1;

export const CR = 13;
export const LF = 10;
export const SP = 32;
export const HTAB = 9;

/** The hash that field names are found by: of the folded bytes, so case and `_`/`-` don't matter. */
export function nameHash(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + FOLDED[name.charCodeAt(i) & 255]) | 0;
  return hash;
}

/**
 * A field's value without the white space around it (RFC 9110 5.5). String.trim() would also take a
 * no-break space, which as Latin-1 is the last byte of `à` in UTF-8.
 */
export function fieldValue(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === SP || code === HTAB;
}
