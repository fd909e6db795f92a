// One message head: its bytes and where everything is in them, as integers.
//
// The bytes are a copy of the head's own (typically a few hundred), so nothing here points into a
// shared read buffer and a head may be read until its Exchange ends. Parsing resumes where the
// bytes ended: a head that comes byte by byte costs as much as one that comes whole.

import { copyBytes } from '../lib/latin1.ts';
import { nameHash, TOKEN } from './characters.ts';

/** Size of the buffer that a head starts with; grown when a head needs more, up to the limit. */
const INITIAL_BYTES = 4096;
/** More fields than this are refused, never dropped silently. */
export const MAX_FIELDS = 128;
/** A Connection field that names more fields than this is refused: looking for each costs time. */
export const MAX_OPTIONS = 16;

export class Head {
  bytes: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  /** How many of the bytes are there; beyond `length` they belong to the body or the next message. */
  filled = 0;
  /** The head's length with its empty line once complete, else 0. */
  length = 0;

  // Where the parser is.
  state = 0;
  position = 0;
  hash = 0;

  // The start line.
  methodStart = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  pathStart = 0;
  pathEnd = 0;
  /** The path holds `%`, `//` or `/.` and must be normalised before it is matched. */
  pathNeedsCare = false;
  minorVersion = 1;
  /** Status code of a response; its start is where the status line's text begins. */
  status = 0;
  statusStart = 0;
  /** End of the start line with its CRLF. */
  startLineEnd = 0;

  // The fields: `count` of them, each with its name, value, known number and the name's hash.
  count = 0;
  readonly nameStart = new Int32Array(MAX_FIELDS);
  readonly nameEnd = new Int32Array(MAX_FIELDS);
  readonly valueStart = new Int32Array(MAX_FIELDS);
  readonly valueEnd = new Int32Array(MAX_FIELDS);
  readonly known = new Uint8Array(MAX_FIELDS);
  readonly nameHash = new Int32Array(MAX_FIELDS);

  // What the fields mean for framing and for the connection.
  /** -1 when there is no Content-Length. */
  contentLength = -1;
  chunked = false;
  close = false;
  keepAlive = false;
  upgrade = false;
  expectContinue = false;
  /** How many fields Connection names, which must not be forwarded (RFC 9110 7.6.1), and their hashes. */
  connectionOptions = 0;
  readonly optionHash = new Int32Array(MAX_OPTIONS);
  hosts = 0;
  /** The authority asked for: of an absolute-form target, else of the Host field; without the port up to hostEnd. */
  hostStart = -1;
  hostEnd = -1;
  authorityEnd = -1;
  /** Index of the User-Agent field, -1 when absent. */
  userAgent = -1;

  /** Makes it ready for another message. */
  reset(): void {
    this.filled = this.length = 0;
    this.restart();
  }

  /** Forgets what was parsed, keeps the bytes. */
  restart(): void {
    this.length = this.state = this.position = this.hash = 0;
    this.methodStart = this.methodEnd = this.targetStart = this.targetEnd = 0;
    this.pathStart = this.pathEnd = this.statusStart = this.startLineEnd = 0;
    this.count = this.connectionOptions = 0;
    this.pathNeedsCare = false;
    this.minorVersion = 1;
    this.status = 0;
    this.contentLength = -1;
    this.chunked = this.close = this.keepAlive = this.upgrade = this.expectContinue = false;
    this.hosts = 0;
    this.hostStart = this.hostEnd = this.authorityEnd = -1;
    this.userAgent = -1;
  }

  /** Takes over as many bytes as fit; the number taken. */
  append(from: Uint8Array, start: number, end: number): number {
    const taken = Math.min(end - start, this.bytes.length - this.filled);
    copyBytes(from, start, start + taken, this.bytes, this.filled);
    this.filled += taken;
    return taken;
  }

  /** Makes room for more, up to `limit` bytes; false when the limit is reached. */
  grow(limit: number): boolean {
    if (this.bytes.length >= limit) return false;
    const larger = Buffer.allocUnsafeSlow(Math.min(this.bytes.length * 2, limit));
    this.bytes.copy(larger, 0, 0, this.filled);
    this.bytes = larger;
    return true;
  }

  /** Gives back a buffer that one large head made grow. */
  shrink(): void {
    if (this.bytes.length > INITIAL_BYTES) this.bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  }

  text(start: number, end: number): string {
    return this.bytes.latin1Slice(start, end);
  }

  nameAt(index: number): string {
    return this.text(this.nameStart[index], this.nameEnd[index]);
  }

  valueAt(index: number): string {
    return this.text(this.valueStart[index], this.valueEnd[index]);
  }

  /** Index of the first field of that name (lower case) at or after `from`, or -1. */
  find(name: string, from = 0): number {
    const hash = nameHash(name);
    for (let i = from; i < this.count; i++) {
      if (this.nameHash[i] === hash && this.isNamed(i, name)) return i;
    }
    return -1;
  }

  isNamed(index: number, name: string): boolean {
    const start = this.nameStart[index];
    if (this.nameEnd[index] - start !== name.length) return false;
    for (let i = 0; i < name.length; i++)
      if (TOKEN[this.bytes[start + i]] !== name.charCodeAt(i)) return false;
    return true;
  }
}
