import type { BodyFilter, BodySink } from '../../plugin/body-filter.ts';

/** Marks a frame that holds trailers instead of a message (PROTOCOL-WEB of gRPC). */
const TRAILERS = 0x80;

/** Makes the body of a gRPC-Web response: messages as they come, the trailers as a last frame, in Base64 where asked for. */
export class GrpcWebBody implements BodyFilter {
  readonly #inBase64: boolean;
  readonly #tellsSuccess: boolean;
  #fields: readonly (readonly [name: string, value: string])[] = [];

  constructor(inBase64: boolean, tellsSuccess: boolean) {
    this.#inBase64 = inBase64;
    this.#tellsSuccess = tellsSuccess;
  }

  write(bytes: Uint8Array, next: BodySink): void {
    next.write(this.#inBase64 ? base64(bytes) : bytes);
  }

  trailers(fields: readonly (readonly [name: string, value: string])[]): void {
    this.#fields = fields;
  }

  end(next: BodySink): void {
    const status = this.#fields.find(([name]) => name.toLowerCase() === 'grpc-status')?.[1];
    if (status !== '0' || this.#tellsSuccess) this.write(this.#frame(status), next);
    next.end();
  }

  /** A server that says no status has not done what was asked. */
  #frame(status: string | undefined): Uint8Array {
    const lines = this.#fields.map(([name, value]) => `${name.toLowerCase()}:${value}\r\n`);
    if (status === undefined) lines.push('grpc-status:2\r\n', 'grpc-message:no status\r\n');
    const text = Buffer.from(lines.join(''), 'latin1');
    const head = Buffer.alloc(5);
    head[0] = TRAILERS;
    head.writeUInt32BE(text.length, 1);
    return Buffer.concat([head, text]);
  }
}

/** Each piece for itself: a message must not wait for the next one's first bytes. */
function base64(bytes: Uint8Array): Buffer {
  return Buffer.from(Buffer.from(bytes).toString('base64'), 'latin1');
}
