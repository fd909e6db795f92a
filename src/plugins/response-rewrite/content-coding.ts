import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, type ZlibOptions } from 'node:zlib';

type Decoder = (body: Uint8Array) => Promise<Uint8Array>;

// A body of a few kilobytes can unfold to gigabytes; what is larger than this is left as it is.
const LIMIT: ZlibOptions = { maxOutputLength: 64 * 1024 * 1024 };

const unzip = promisify<Uint8Array, ZlibOptions, Uint8Array>(gunzip);
const unbrotli = promisify<Uint8Array, ZlibOptions, Uint8Array>(brotliDecompress);
const undeflate = promisify<Uint8Array, ZlibOptions, Uint8Array>(inflate);

/** Decoders by content coding (RFC 9110 8.4.1). */
const DECODERS: ReadonlyMap<string, Decoder> = new Map([
  ['gzip', (body: Uint8Array) => unzip(body, LIMIT)],
  ['x-gzip', (body: Uint8Array) => unzip(body, LIMIT)],
  ['br', (body: Uint8Array) => unbrotli(body, LIMIT)],
  ['deflate', (body: Uint8Array) => undeflate(body, LIMIT)],
]);

export function decoderOf(contentEncoding: string): Decoder | undefined {
  return DECODERS.get(contentEncoding.trim().toLowerCase());
}
