// Which server a TLS client asks for, read from its first message without answering it: what routes
// a connection that is passed on undecrypted, and what chooses the certificate of one that is not.
// RFC 8446 4.1.2 and 5.1, RFC 6066 3, RFC 7301.

/** A handshake message that begins a connection is far below this, also with post-quantum key shares. */
const MAX_HELLO = 16 * 1024;
const MAX_RECORD = 16 * 1024;
const RECORD_HEADER = 5;
/** Into so many records it may be cut: one is usual, and each look walks over all of them. */
const MAX_RECORDS = 64;

/** No ClientHello that is understood takes more bytes, headers of records included. */
export const CLIENT_HELLO_MAX = MAX_HELLO + MAX_RECORDS * RECORD_HEADER;

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;
const PROTOCOLS = 16;

/** What the first bytes of a connection say. */
export type ClientHello =
  /** Nothing certain yet. */
  | {
      readonly kind: 'more' /** Not worth asking again before there are so many bytes. */;
      readonly needed: number;
    }
  /** No TLS. */
  | { readonly kind: 'other' }
  /** TLS that no client sends who means well. */
  | { readonly kind: 'malformed' }
  | Hello;

export interface Hello {
  readonly kind: 'hello';
  /** In lower case; undefined when the client named none. */
  readonly serverName: string | undefined;
  /** ALPN, as offered. */
  readonly protocols: readonly string[];
}

const OTHER: ClientHello = { kind: 'other' };
const MALFORMED: ClientHello = { kind: 'malformed' };
const more = (needed: number): ClientHello => ({ kind: 'more', needed });

/**
 * Looks at the first `length` bytes of a connection. To be called again, with more of them, as long
 * as the answer is `more`.
 */
export function readClientHello(bytes: Buffer, length: number = bytes.length): ClientHello {
  if (length > 0 && bytes[0] !== HANDSHAKE) return OTHER;
  if (length > 1 && bytes[1] !== 3) return OTHER;
  // Records are glued together until the message is whole.
  const pieces: Buffer[] = [];
  let collected = 0;
  let wanted = Number.POSITIVE_INFINITY;
  let at = 0;
  while (collected < wanted) {
    if (pieces.length === MAX_RECORDS) return MALFORMED;
    if (at + RECORD_HEADER > length) return more(at + RECORD_HEADER);
    if (bytes[at] !== HANDSHAKE || bytes[at + 1] !== 3) return MALFORMED;
    const size = bytes.readUInt16BE(at + 3);
    if (size === 0 || size > MAX_RECORD) return MALFORMED;
    const end = at + RECORD_HEADER + size;
    const piece = bytes.subarray(at + RECORD_HEADER, Math.min(end, length));
    pieces.push(piece);
    collected += piece.length;
    if (wanted === Number.POSITIVE_INFINITY && collected >= 4) {
      const start = pieces.length === 1 ? piece : Buffer.concat(pieces);
      if (start[0] !== CLIENT_HELLO) return MALFORMED;
      wanted = 4 + start.readUIntBE(1, 3);
      if (wanted > MAX_HELLO) return MALFORMED;
    }
    if (end > length && collected < wanted) {
      const missing = wanted === Number.POSITIVE_INFINITY ? 1 : wanted - collected;
      return more(Math.min(end, length + missing));
    }
    at = end;
  }
  // The client must wait for an answer: nothing of another message may follow in this flight.
  const message = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
  return parse(message.subarray(4, wanted));
}

/** Walks over a piece of a message; anything that doesn't fit leaves it `broken`. */
class Cursor {
  readonly #bytes: Buffer;
  #at: number;
  #end: number;
  broken = false;

  constructor(bytes: Buffer, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get left(): number {
    return this.broken ? 0 : this.#end - this.#at;
  }

  number(size: 1 | 2): number {
    if (!this.#has(size)) return 0;
    this.#at += size;
    return this.#bytes.readUIntBE(this.#at - size, size);
  }

  skip(size: number): void {
    if (this.#has(size)) this.#at += size;
  }

  /** What a length in front of it says. */
  vector(lengthSize: 1 | 2): Cursor {
    const size = this.number(lengthSize);
    if (!this.#has(size)) return new Cursor(this.#bytes, 0, 0);
    this.#at += size;
    return new Cursor(this.#bytes, this.#at - size, this.#at);
  }

  text(): string {
    return this.#bytes.latin1Slice(this.#at, this.#end);
  }

  #has(size: number): boolean {
    if (this.#end - this.#at < size) this.broken = true;
    return !this.broken;
  }
}

function parse(bytes: Buffer): ClientHello {
  const hello = new Cursor(bytes);
  hello.skip(2 + 32); // legacy_version, random
  if (hello.vector(1).left > 32) return MALFORMED; // legacy_session_id
  const suites = hello.vector(2).left;
  const compressions = hello.vector(1).left;
  if (hello.broken || suites === 0 || suites % 2 !== 0 || compressions === 0) return MALFORMED;
  // A client from before extensions ends here.
  if (hello.left === 0) return { kind: 'hello', serverName: undefined, protocols: [] };
  const extensions = hello.vector(2);
  if (hello.broken || hello.left > 0) return MALFORMED;
  let serverName: string | undefined;
  let protocols: readonly string[] | undefined = [];
  const seen = new Set<number>();
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const data = extensions.vector(2);
    // Twice the same extension: two readers might believe two different names.
    if (extensions.broken || seen.has(type)) return MALFORMED;
    seen.add(type);
    if (type === SERVER_NAME) {
      serverName = parseServerName(data);
      if (serverName === undefined) return MALFORMED;
    } else if (type === PROTOCOLS) {
      protocols = parseProtocols(data);
      if (protocols === undefined) return MALFORMED;
    }
  }
  return { kind: 'hello', serverName, protocols };
}

function parseProtocols(data: Cursor): string[] | undefined {
  const list = data.vector(2);
  if (data.broken || data.left > 0) return undefined;
  const protocols: string[] = [];
  while (list.left > 0) protocols.push(list.vector(1).text());
  return list.broken ? undefined : protocols;
}

/** A list with exactly one host name: others have never been defined. */
function parseServerName(data: Cursor): string | undefined {
  const list = data.vector(2);
  if (data.broken || data.left > 0) return undefined;
  const type = list.number(1);
  const name = list.vector(2);
  if (list.broken || list.left > 0 || type !== HOST_NAME) return undefined;
  const text = name.text().toLowerCase();
  if (text.length > 255 || !/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?$/.test(text)) return undefined;
  return text.endsWith('.') ? text.slice(0, -1) : text;
}
