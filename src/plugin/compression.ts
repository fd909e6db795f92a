// What gzip, brotli and zstd have in common: when a response is compressed (RFC 9110 8.4.1, 12.5.3),
// what its head says then, and how its bytes go through zlib.

import type { Transform } from 'node:stream';
import { parseAcceptEncoding } from '../lib/accept-encoding.ts';
import { Type } from '../lib/schema.ts';
import type { BodyFilter, BodySink } from './body-filter.ts';
import { type ResponseExchange, slot } from './exchange.ts';

/** The codings, best first: of those that a client likes as much, the first is taken. */
const CODINGS = ['br', 'zstd', 'gzip'] as const;
export type Coding = (typeof CODINGS)[number];

/** A compressor of node:zlib. */
export type Compressor = Transform & { flush(kind: number, callback: () => void): void };

/** How to compress. Contexts are large, so one is made only when there are bytes for it. */
export interface Compression {
  readonly coding: Coding;
  create(): Compressor;
  /** What makes the compressor give out all it has been given. */
  readonly flush: number;
}

/** The fields of APISIX's gzip and brotli that say what is compressed. */
export const compressionFields = {
  types: Type.Union(
    [
      Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }),
      Type.Enum(['*'], { description: 'Any type.' }),
    ],
    {
      keyword: 'anyOf',
      default: ['text/html'],
      description: 'The media types that are compressed, without parameters; `*` for all.',
    },
  ),
  min_length: Type.Integer({
    minimum: 1,
    default: 20,
    description: 'Bytes below which a body of known length is sent as it is.',
  }),
  http_version: Type.Enum([1.1, 1.0], {
    default: 1.1,
    description: 'The oldest HTTP version of clients that get compressed bodies.',
  }),
  vary: Type.Boolean({
    default: true,
    description:
      'Name `Accept-Encoding` in `Vary` (APISIX: only when set). Without it caches give compressed bodies to clients that asked for none.',
  }),
};

export interface CompressionConfig {
  readonly types: readonly string[] | '*';
  readonly min_length: number;
  readonly http_version: number;
  readonly vary: boolean;
}

/** The fields that are about the very bytes, and so wrong for others. */
const ABOUT_BYTES = ['accept-ranges', 'content-md5', 'digest', 'content-digest', 'repr-digest'];

const chosen = slot<CompressionFilter>('compression');

/** Whether bodies may be compressed on this Exchange by this config, apart from what the client accepts. */
function qualifies({ request, response }: ResponseExchange, config: CompressionConfig): boolean {
  const { status } = response;
  if (status < 200 || status === 204 || status === 205 || status === 206 || status === 304) return false;
  if (request.httpVersion === '1.0' && config.http_version > 1) return false;
  const type = response.header('content-type');
  if (type === undefined) return false;
  if (config.types !== '*') {
    const bare = type.split(';', 1)[0].trim().toLowerCase();
    if (!config.types.some((one) => one.toLowerCase() === bare)) return false;
  }
  const coding = response.header('content-encoding');
  if (coding !== undefined && coding.trim().toLowerCase() !== 'identity') return false;
  if (response.header('content-range') !== undefined || response.bodyLength === 0) return false;
  return ![...response.headerValues('cache-control'), ...request.headerValues('cache-control')].some(
    (value) => /(?:^|[\s,])no-transform(?:$|[\s,])/i.test(value),
  );
}

/** Compresses the response where it may be, and where this is what the client likes best. */
export function compress(
  exchange: ResponseExchange,
  config: CompressionConfig,
  compression: Compression,
): void {
  const { request, response } = exchange;
  if (response.status === 304) {
    // What it stands for may have been compressed, and has the tag that it had then (RFC 9110 15.4.5).
    if (config.vary) addVary(response);
    const { weight: weightOf } = parseAcceptEncoding(request.headerValues('accept-encoding').join(','));
    if (weightOf(compression.coding) > 0) weaken(response);
    return;
  }
  if (!qualifies(exchange, config)) return;
  // Whoever asks without it gets another answer.
  if (config.vary) addVary(response);
  const accepted = parseAcceptEncoding(request.headerValues('accept-encoding').join(','));
  const weight = accepted.weight(compression.coding);
  if (weight === 0 || weight < accepted.identity) return;
  const length = response.bodyLength;
  if (length !== undefined && length < config.min_length && accepted.identity > 0) return;
  const other = exchange.get(chosen);
  if (other !== undefined) {
    const theirs = accepted.weight(other.coding);
    const better = CODINGS.indexOf(compression.coding) < CODINGS.indexOf(other.coding);
    if (weight > theirs || (weight === theirs && better)) other.compression = compression;
    return;
  }
  const filter = new CompressionFilter(compression);
  exchange.set(chosen, filter);
  response.filterBody(filter);
  for (const name of ABOUT_BYTES) if (response.header(name) !== undefined) response.removeHeader(name);
  weaken(response);
}

/** The bytes differ, what they mean doesn't (RFC 9110 8.8.1). */
function weaken(response: ResponseExchange['response']): void {
  const etag = response.header('etag');
  if (etag?.startsWith('"')) response.setHeader('ETag', `W/${etag}`);
}

function addVary(response: ResponseExchange['response']): void {
  const named = response.headerValues('vary').join(',').toLowerCase().split(',');
  if (!named.some((name) => name.trim() === '*' || name.trim() === 'accept-encoding'))
    response.addHeader('Vary', 'Accept-Encoding');
}

/** Bytes given to zlib's threads and not yet compressed, above which no more are taken. */
const MOST_PENDING = 256 * 1024;

/** One body on its way through a compressor. Each has at most one piece of work in zlib's threads at a time. */
class CompressionFilter implements BodyFilter {
  compression: Compression;
  #compressor: Compressor | undefined;
  #pending = 0;
  #full = false;
  #ending = false;

  constructor(compression: Compression) {
    this.compression = compression;
  }

  get coding(): Coding {
    return this.compression.coding;
  }

  write(bytes: Uint8Array, next: BodySink): boolean {
    const compressor = this.#open(next);
    const { length } = bytes;
    this.#pending += length;
    // A copy: the bytes are ours during this call only.
    compressor.write(Buffer.from(bytes), (error) => {
      this.#pending -= length;
      if (error || this.#pending > 0 || this.#ending) return;
      // The source pauses. What it has sent must not wait for what it may never send.
      compressor.flush(this.compression.flush, () => {});
      if (!this.#full) return;
      this.#full = false;
      next.resume();
    });
    this.#full = this.#pending > MOST_PENDING;
    return !this.#full;
  }

  end(next: BodySink): void {
    this.#ending = true;
    this.#open(next).end();
  }

  abort(): void {
    this.#compressor?.destroy();
  }

  #open(next: BodySink): Compressor {
    if (this.#compressor === undefined) {
      const compressor = this.compression.create();
      compressor.on('data', (bytes: Buffer) => next.write(bytes));
      compressor.on('end', () => next.end());
      compressor.on('error', (error) => next.fail(error));
      this.#compressor = compressor;
    }
    return this.#compressor;
  }
}
