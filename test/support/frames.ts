// HTTP/2 frame by frame (RFC 9113 4), for what no well-behaved client sends.
import { RawClient } from './raw.ts';

export const Frame = {
  Data: 0,
  Headers: 1,
  Reset: 3,
  Settings: 4,
  Ping: 6,
  Goaway: 7,
  Window: 8,
  Continuation: 9,
} as const;
export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array | string = '',
): Buffer {
  const body = Buffer.from(payload as Uint8Array);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** A field section without compression: literal fields that are not indexed (RFC 7541 6.2.2). */
export function fieldBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const length: number[] = [];
  if (bytes.length < 127) length.push(bytes.length);
  else {
    length.push(127);
    let rest = bytes.length - 127;
    for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** The pseudo-header fields of a usual GET. */
export const GET: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a'],
];

/** Speaks HTTP/2 with prior knowledge, one frame at a time. */
export class FrameClient {
  readonly raw: RawClient;

  private constructor(raw: RawClient) {
    this.raw = raw;
  }

  static async connect(port: number): Promise<FrameClient> {
    const client = new FrameClient(await RawClient.connect(port));
    client.raw.write(Buffer.concat([PREFACE, frame(Frame.Settings, 0, 0)]));
    return client;
  }

  send(type: number, flags: number, stream: number, payload?: Uint8Array | string): void {
    if (this.raw.ending === 'open' && !this.raw.closed) this.raw.write(frame(type, flags, stream, payload));
  }

  request(stream: number, fields: readonly (readonly [string, string])[], flags: number = END_STREAM): void {
    this.send(Frame.Headers, flags | END_HEADERS, stream, fieldBlock(fields));
  }

  /** What has come so far. */
  get frames(): ReceivedFrame[] {
    const bytes = this.raw.received;
    const frames: ReceivedFrame[] = [];
    for (let at = 0; at + 9 <= bytes.length; ) {
      const length = bytes.readUIntBE(at, 3);
      if (at + 9 + length > bytes.length) break;
      frames.push({
        type: bytes[at + 3],
        flags: bytes[at + 4],
        stream: bytes.readUInt32BE(at + 5) & 0x7fffffff,
        payload: bytes.subarray(at + 9, at + 9 + length),
      });
      at += 9 + length;
    }
    return frames;
  }

  find(type: number, stream = 0): ReceivedFrame | undefined {
    return this.frames.find((received) => received.type === type && received.stream === stream);
  }
}
