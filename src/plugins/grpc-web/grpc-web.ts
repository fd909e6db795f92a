import { Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { type RequestView, type ResponseView, slot } from '../../plugin/exchange.ts';
import { reply } from '../../plugin/reply.ts';
import { decodeBase64 } from './base64-body.ts';
import { GrpcWebBody } from './grpc-web-body.ts';

const config = Type.Object({
  strip_path: Type.Boolean({
    default: false,
    description:
      'Keeps the part of the path that the Route names before `*`, for Routes such as `/package.Service/*`.',
  }),
  enable_in_body_trailers_on_success: Type.Boolean({
    default: false,
    description:
      'Ends a successful answer with a frame of trailers, as the protocol has it. Failures always end with one.',
  }),
});

/** Whether bodies are in Base64, by media type. */
const MEDIA_TYPES: ReadonlyMap<string, boolean> = new Map([
  ['application/grpc-web', false],
  ['application/grpc-web+proto', false],
  ['application/grpc-web-text', true],
  ['application/grpc-web-text+proto', true],
]);

/** The media type of a call, once it is known to be one. */
const mediaType = slot<string>('grpc-web media type');

/** The path that the gRPC server is asked for: what the Route's `*` stands for; undefined where it has none. */
function grpcPath(path: string, uri: string | undefined, keepsPrefix: boolean): string | undefined {
  if (uri === undefined || !uri.endsWith('*')) return undefined;
  const rest = path.slice(uri.length - 1);
  if (rest.startsWith('/')) return rest;
  return keepsPrefix ? path : `/${rest}`;
}

function isPreflight(request: RequestView): boolean {
  return request.method === 'OPTIONS';
}

/** What scripts of other origins may do and read, unless the cors plugin has said it. */
function allowOrigins(request: RequestView, response: ResponseView): void {
  if (isPreflight(request)) {
    response.setHeader('Access-Control-Allow-Methods', 'POST, OPTIONS');
    response.setHeader(
      'Access-Control-Allow-Headers',
      'content-type,x-grpc-web,x-user-agent,grpc-accept-encoding',
    );
  }
  if (response.header('access-control-allow-origin') === undefined) {
    response.setHeader('Access-Control-Allow-Origin', '*');
  }
  response.setHeader('Access-Control-Expose-Headers', 'grpc-status,grpc-message');
}

export const grpcWeb = definePlugin({
  name: 'grpc-web',
  summary: 'Lets browsers call gRPC services by gRPC-Web.',
  priority: 505,
  config,
  needsBody: () => 'request',
  create({ strip_path: keepsPrefix, enable_in_body_trailers_on_success: tellsSuccess }, kit) {
    const refuse = (why: string) => {
      kit.log.error(`grpc-web: ${why}`);
      return reply(400, undefined, { reason: 'not_grpc_web' });
    };
    return {
      access(exchange) {
        const { request, upstream } = exchange;
        if (isPreflight(request)) return reply(204, undefined, { reason: 'grpc_web_preflight' });
        if (request.method !== 'POST') return refuse(`the method must be POST, not ${request.method}`);
        const type = request.header('content-type') ?? '';
        const inBase64 = MEDIA_TYPES.get(type);
        if (inBase64 === undefined) return refuse(`no media type of gRPC-Web: ${JSON.stringify(type)}`);
        const path = grpcPath(upstream.path, exchange.variable('matched_uri'), keepsPrefix);
        if (path === undefined) return refuse("the Route's uri must end with *");
        if (inBase64 && request.body.length > 0) {
          const body = decodeBase64(request.body);
          if (body === undefined) return refuse('the body is not Base64');
          upstream.body = body;
        }
        exchange.set(mediaType, type);
        upstream.path = path;
        request.setHeader('Content-Type', 'application/grpc');
      },
      responseHeaders(exchange) {
        const { request, response } = exchange;
        allowOrigins(request, response);
        const type = exchange.get(mediaType);
        // An answer of the gateway's own is no message of gRPC.
        if (type === undefined || response.source === 'gateway') return;
        response.setHeader('Content-Type', type);
        // Then there are no messages, and the fields are the trailers.
        if (response.header('grpc-status') !== undefined) return;
        response.filterBody(new GrpcWebBody(MEDIA_TYPES.get(type) === true, tellsSuccess));
      },
    };
  },
});
