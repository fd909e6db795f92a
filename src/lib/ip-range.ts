// Sets of IP addresses, built once from addresses and CIDR ranges, asked on each request.
//
// Ranges are merged and kept in flat arrays, sorted, one for the first and one for the last address of
// each; a look-up parses the address into numbers without allocating and halves the arrays.
//
// An IPv6 address that maps an IPv4 one (`::ffff:10.0.0.1`, RFC 4291 section 2.5.5.2) is that IPv4
// address, whether asked for or in a range of 96 bits and more. A wider IPv6 range such as `::/0` holds
// no IPv4 address: `0.0.0.0/0` says that.

const IPV4_BITS = 32;
const IPV6_BITS = 128;
const MAPPED_BITS = 96;
const MAPPED_MARK = 0xffff;

const ZERO = 0x30;
const NINE = 0x39;
const DOT = 0x2e;
const COLON = 0x3a;

interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** Eight groups of an IPv6 address, then the same as four words; both are overwritten by each parsing. */
const groups = new Uint16Array(8);
const words = new Uint32Array(4);

export class IpSet {
  readonly #firstV4: Uint32Array;
  readonly #lastV4: Uint32Array;
  /** Four words for each address. */
  readonly #firstV6: Uint32Array;
  readonly #lastV6: Uint32Array;

  /**
   * Takes addresses (`10.0.0.1`, `2001:db8::1`) and CIDR ranges (`10.0.0.0/8`); bits after the prefix
   * are ignored. Throws an Error whose message names the first text that is neither.
   */
  constructor(ranges: readonly string[]) {
    const v4: Range[] = [];
    const v6: Range[] = [];
    for (const text of ranges) {
      const bits = parseRange(text);
      if (bits < 0) throw new Error(`invalid ip address: ${text}`);
      if (isMapped() && bits >= MAPPED_BITS)
        v4.push(toRange(BigInt(words[3]), bits - MAPPED_BITS, IPV4_BITS));
      else v6.push(toRange(wordsAsNumber(), bits, IPV6_BITS));
    }
    const mergedV4 = merge(v4);
    this.#firstV4 = Uint32Array.from(mergedV4, ({ first }) => Number(first));
    this.#lastV4 = Uint32Array.from(mergedV4, ({ last }) => Number(last));
    const mergedV6 = merge(v6);
    this.#firstV6 = Uint32Array.from(mergedV6.flatMap(({ first }) => splitIntoWords(first)));
    this.#lastV6 = Uint32Array.from(mergedV6.flatMap(({ last }) => splitIntoWords(last)));
  }

  /** Whether the address is in one of the ranges; false also for what is no address. */
  has(address: string): boolean {
    const v4 = parseIpv4(address, 0, address.length);
    if (v4 >= 0) return this.#hasV4(v4);
    if (!parseIpv6(address, address.length)) return false;
    return isMapped() ? this.#hasV4(words[3]) : this.#hasV6();
  }

  #hasV4(address: number): boolean {
    const firsts = this.#firstV4;
    let low = 0;
    let high = firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (firsts[middle] <= address) low = middle + 1;
      else high = middle;
    }
    return low > 0 && address <= this.#lastV4[low - 1];
  }

  #hasV6(): boolean {
    const firsts = this.#firstV6;
    let low = 0;
    let high = firsts.length >>> 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareWords(firsts, middle) <= 0) low = middle + 1;
      else high = middle;
    }
    return low > 0 && compareWords(this.#lastV6, low - 1) >= 0;
  }
}

/** Whether a text is an IPv4 or IPv6 address or a CIDR range of such. */
export function isIpRange(text: string): boolean {
  return parseRange(text) >= 0;
}

/** Leaves the address in `words`, IPv4 as mapped; returns the length of its prefix of 128 bits, or -1. */
function parseRange(text: string): number {
  const slash = text.indexOf('/');
  const end = slash < 0 ? text.length : slash;
  const v4 = parseIpv4(text, 0, end);
  if (v4 >= 0) {
    words.fill(0);
    words[2] = MAPPED_MARK;
    words[3] = v4;
    if (slash < 0) return IPV6_BITS;
    const bits = parsePrefixLength(text, slash + 1, IPV4_BITS);
    return bits < 0 ? -1 : bits + MAPPED_BITS;
  }
  if (!parseIpv6(text, end)) return -1;
  return slash < 0 ? IPV6_BITS : parsePrefixLength(text, slash + 1, IPV6_BITS);
}

function parsePrefixLength(text: string, start: number, maximum: number): number {
  if (!/^(?:0|[1-9]\d{0,2})$/.test(text.slice(start))) return -1;
  const bits = Number(text.slice(start));
  return bits <= maximum ? bits : -1;
}

/** The address as a number, or -1. Four decimal numbers without leading zeros, as inet_pton wants. */
function parseIpv4(text: string, start: number, end: number): number {
  let address = 0;
  let octet = -1;
  let dots = 0;
  for (let index = start; index < end; index++) {
    const code = text.charCodeAt(index);
    if (code >= ZERO && code <= NINE) {
      if (octet === 0) return -1;
      octet = octet < 0 ? code - ZERO : octet * 10 + code - ZERO;
      if (octet > 255) return -1;
    } else {
      if (code !== DOT || octet < 0 || dots === 3) return -1;
      dots += 1;
      address = address * 256 + octet;
      octet = -1;
    }
  }
  return dots === 3 && octet >= 0 ? address * 256 + octet : -1;
}

/** Leaves the address in `words`, or returns false. RFC 4291 section 2.2, without zones. */
function parseIpv6(text: string, end: number): boolean {
  let count = 0;
  let gap = -1;
  let index = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    gap = 0;
    index = 2;
  }
  while (index < end) {
    if (count === 8) return false;
    const start = index;
    let value = 0;
    while (index < end && index - start < 5) {
      const digit = hexDigit(text.charCodeAt(index));
      if (digit < 0) break;
      value = value * 16 + digit;
      index += 1;
    }
    if (index < end && text.charCodeAt(index) === DOT) {
      const v4 = parseIpv4(text, start, end);
      if (v4 < 0 || count > 6) return false;
      groups[count++] = v4 >>> 16;
      groups[count++] = v4 & 0xffff;
      break;
    }
    if (index === start || index - start > 4) return false;
    groups[count++] = value;
    if (index === end) break;
    if (text.charCodeAt(index) !== COLON) return false;
    index += 1;
    if (index === end) return false;
    if (text.charCodeAt(index) === COLON) {
      if (gap >= 0) return false;
      gap = count;
      index += 1;
    }
  }
  if (gap < 0 ? count !== 8 : count === 8) return false;
  if (gap >= 0) {
    groups.copyWithin(gap + 8 - count, gap, count);
    groups.fill(0, gap, gap + 8 - count);
  }
  for (let word = 0; word < 4; word++) words[word] = groups[word * 2] * 0x10000 + groups[word * 2 + 1];
  return true;
}

function hexDigit(code: number): number {
  if (code >= ZERO && code <= NINE) return code - ZERO;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function isMapped(): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === MAPPED_MARK;
}

/** Negative if the address at `position` comes before the one in `words`, positive if after. */
function compareWords(addresses: Uint32Array, position: number): number {
  const offset = position * 4;
  for (let word = 0; word < 4; word++) {
    const difference = addresses[offset + word] - words[word];
    if (difference !== 0) return difference;
  }
  return 0;
}

function wordsAsNumber(): bigint {
  return words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
}

function splitIntoWords(address: bigint): number[] {
  return [96n, 64n, 32n, 0n].map((shift) => Number((address >> shift) & 0xffffffffn));
}

function toRange(address: bigint, bits: number, allBits: number): Range {
  const hostMask = (1n << BigInt(allBits - bits)) - 1n;
  return { first: address & ~hostMask, last: address | hostMask };
}

/** Sorted, without overlaps. */
function merge(ranges: readonly Range[]): Range[] {
  const sorted = ranges.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: Range[] = [];
  for (const range of sorted) {
    const previous = merged.at(-1);
    if (!previous || range.first > previous.last) merged.push(range);
    else if (range.last > previous.last)
      merged[merged.length - 1] = { first: previous.first, last: range.last };
  }
  return merged;
}
