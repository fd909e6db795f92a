/**
 * A body that is made while it is sent, and never held whole: a file, for example. Belongs to one
 * Reply and is read once. Pieces are asked for as fast as the client takes them.
 */
export interface BodySource {
  /** Bytes in all; undefined where nobody knows. Another number than this breaks the response off. */
  readonly length: number | undefined;
  /** The next piece, valid until the next call; undefined at the end. Rejects when there can be no more: the client sees an aborted response. */
  read(): Promise<Uint8Array | undefined>;
  /** Called once, whatever the end: lets go of what is held. A `read` may still be under way. */
  close(): void;
}

/** Whether a Reply's body is made while it is sent. */
export function isBodySource(body: unknown): body is BodySource {
  return typeof body === 'object' && body !== null && !(body instanceof Uint8Array);
}

/** Reads a source to its end and closes it. Rejects with a RangeError for more than `maximum` bytes. */
export async function collectSource(source: BodySource, maximum: number): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for (let piece = await source.read(); piece !== undefined; piece = await source.read()) {
      size += piece.length;
      if (size > maximum) throw new RangeError('the response body is larger than may be held in memory');
      pieces.push(Buffer.from(piece));
    }
  } finally {
    source.close();
  }
  return Buffer.concat(pieces);
}
