// A real gRPC server and client, whose messages are bytes: a proxy must not care what they mean.
import * as grpc from '@grpc/grpc-js';
import type { Scope } from './echo-upstream.ts';

const raw = {
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
};

/** One method of each kind. */
const service = {
  Unary: { path: '/test.Echo/Unary', requestStream: false, responseStream: false, ...raw },
  ServerStream: { path: '/test.Echo/ServerStream', requestStream: false, responseStream: true, ...raw },
  ClientStream: { path: '/test.Echo/ClientStream', requestStream: true, responseStream: false, ...raw },
  Bidi: { path: '/test.Echo/Bidi', requestStream: true, responseStream: true, ...raw },
} satisfies grpc.ServiceDefinition;

export interface GrpcServer {
  readonly port: number;
  /** Calls begun, their path and metadata. */
  readonly calls: readonly { readonly metadata: grpc.Metadata; cancelled: boolean }[];
  /** Dies: connections are cut. */
  kill(): void;
}

/**
 * Echoes: Unary and ClientStream what they got, ServerStream each byte as a message, Bidi each
 * message. The word `fail` becomes NOT_FOUND, `hang` is never answered.
 */
export async function startGrpc(
  scope: Scope,
  credentials = grpc.ServerCredentials.createInsecure(),
): Promise<GrpcServer> {
  const server = new grpc.Server();
  const calls: { metadata: grpc.Metadata; cancelled: boolean }[] = [];
  const begin = (call: {
    metadata: grpc.Metadata;
    on(event: 'cancelled', listener: () => void): unknown;
  }) => {
    const seen = { metadata: call.metadata, cancelled: false };
    calls.push(seen);
    call.on('cancelled', () => (seen.cancelled = true));
    const tail = new grpc.Metadata();
    tail.set('x-tail', 'tail');
    return tail;
  };
  server.addService(service, {
    Unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      const tail = begin(call);
      const text = call.request.toString();
      if (text === 'fail') done({ code: grpc.status.NOT_FOUND, details: 'no ünit, 100 %' }, null, tail);
      else if (text !== 'hang') done(null, call.request, tail);
    },
    ServerStream(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      begin(call);
      for (const byte of call.request) call.write(Buffer.from([byte]));
      if (!call.request.includes('+')) call.end();
    },
    ClientStream(call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      begin(call);
      const pieces: Buffer[] = [];
      call.on('data', (piece) => pieces.push(piece));
      call.on('end', () => done(null, Buffer.concat(pieces)));
    },
    Bidi(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      begin(call);
      call.on('data', (piece) => call.write(piece));
      call.on('end', () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  scope.after(() => server.forceShutdown());
  return { port, calls, kill: () => server.forceShutdown() };
}

/** How a call ended. */
export interface GrpcEnd {
  readonly code: number;
  readonly details: string;
  readonly metadata: grpc.Metadata;
}

export class GrpcClient {
  readonly #client: grpc.Client;

  constructor(scope: Scope, port: number, credentials = grpc.credentials.createInsecure()) {
    this.#client = new grpc.Client(`localhost:${port}`, credentials, { 'grpc.enable_retries': 0 });
    scope.after(() => this.#client.close());
  }

  unary(message: string, fields: Record<string, string> = {}, options: grpc.CallOptions = {}) {
    const metadata = metadataOf(fields);
    return new Promise<GrpcEnd & { readonly message: string | undefined }>((resolve) => {
      let message_: string | undefined;
      const call = this.#client.makeUnaryRequest(
        '/test.Echo/Unary',
        raw.requestSerialize,
        raw.responseDeserialize,
        Buffer.from(message),
        metadata,
        options,
        (_error, value) => (message_ = value?.toString()),
      );
      call.on('status', (status) => setImmediate(() => resolve({ ...status, message: message_ })));
    });
  }

  clientStream(fields: Record<string, string>, done: (message: string | undefined) => void) {
    return this.#client.makeClientStreamRequest(
      '/test.Echo/ClientStream',
      raw.requestSerialize,
      raw.responseDeserialize,
      metadataOf(fields),
      (_error, value) => done(value?.toString()),
    );
  }

  serverStream(message: string, options: grpc.CallOptions = {}) {
    return this.#client.makeServerStreamRequest(
      '/test.Echo/ServerStream',
      raw.requestSerialize,
      raw.responseDeserialize,
      Buffer.from(message),
      options,
    );
  }

  bidi() {
    return this.#client.makeBidiStreamRequest(
      '/test.Echo/Bidi',
      raw.requestSerialize,
      raw.responseDeserialize,
    );
  }
}

function metadataOf(fields: Record<string, string>): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
}

/** Collects what a call sends until it ends. */
export function endOf(
  call: grpc.ClientReadableStream<Buffer>,
): Promise<GrpcEnd & { readonly messages: string[] }> {
  const messages: string[] = [];
  call.on('data', (piece: Buffer) => messages.push(piece.toString()));
  call.on('error', () => {});
  return new Promise((resolve) => {
    call.on('status', (status) => setImmediate(() => resolve({ ...status, messages })));
  });
}
