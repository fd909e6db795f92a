import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Change } from '../model/change.ts';
import type { Configuration } from '../model/configuration.ts';
import type { Kind } from '../model/resource.ts';
import { resources } from '../model/resources.ts';
import type { Logger } from '../plugin/kit.ts';
import { Access, type AccessOptions } from './access.ts';
import { type AdminReply, errorReply, send, sendPage, sendPreflight } from './admin-reply.ts';
import { type AdminKey, createAuthentication } from './authentication.ts';
import { parseJson, readBody } from './body.ts';
import { effective } from './effective.ts';
import { openApi } from './openapi.ts';
import { answerResource, type ResourceRequest, resourcePath } from './resource-endpoint.ts';
import { pluginList, pluginSchema, resourceSchema, validateSchema } from './schema-endpoint.ts';
import { validateConfiguration } from './validate-endpoint.ts';
import { type WritableStore, Writer } from './writer.ts';

export interface AdminServerOptions extends AccessOptions {
  readonly configuration: Configuration;
  readonly store: WritableStore;
  /** Brings a Change to everyone who serves traffic, before the answer; secrets are plain in it. */
  broadcast(change: Change): Promise<void> | void;
  readonly keys: readonly AdminKey[];
  readonly log?: Pick<Logger, 'error'>;
  /** Loads user-written Plugins again (`PUT /plugins/reload`). */
  reloadPlugins?(): Promise<void> | void;
  /** Answers a path of its own below `/apisix/admin/`, for what lives on other floors (explain, metrics). Asked after authentication. */
  readonly extensions?: Readonly<
    Record<string, (request: ExtensionRequest) => Promise<AdminReply> | AdminReply>
  >;
}

export interface ExtensionRequest {
  readonly method: string;
  /** The path's segments after the extension's own. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly body: string;
}

export interface AdminServer {
  /** Not listening yet; the caller chooses the address. */
  readonly server: Server;
  /** The way to the configuration for everyone else in this process who wants to change it. */
  readonly writer: Writer;
  /** Stops listening, answers what is under way, then resolves. */
  close(): Promise<void>;
}

/** Makes the Admin API on node:http. Nothing listens until `server.listen`. */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  const log = options.log ?? { error: () => undefined };
  const writer = new Writer({ ...options, broadcast: (change) => options.broadcast(change), log });
  const admin = new Dispatcher(options, writer);
  const server = createServer({ requestTimeout: 60_000, headersTimeout: 10_000 }, (request, response) => {
    admin.handle(request, response).catch((error: unknown) => {
      log.error('the Admin API failed to answer', { method: request.method, error: String(error) });
      if (response.headersSent || request.destroyed) response.destroy();
      else send(response, errorReply(500, 'internal error'));
    });
  });
  server.maxConnections = 1_024;
  return {
    server,
    writer,
    async close() {
      const closed = server.listening ? new Promise((resolve) => server.close(resolve)) : undefined;
      server.closeIdleConnections();
      await writer.close();
      await closed;
    },
  };
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

class Dispatcher {
  readonly #options: AdminServerOptions;
  readonly #writer: Writer;
  readonly #access: Access;
  readonly #authentication;

  constructor(options: AdminServerOptions, writer: Writer) {
    this.#options = options;
    this.#writer = writer;
    this.#access = new Access(options);
    this.#authentication = createAuthentication(options.keys);
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#access.allowsPeer(request)) return sendPage(response, 403);
    if (!this.#access.allowsHost(request))
      return send(response, errorReply(421, 'the Host field does not name the Admin API'));
    const target = parseTarget(request.url ?? '/');
    if (target === undefined) return send(response, errorReply(400, 'invalid path'));
    const { segments, query } = target;
    if (segments[0] !== 'apisix' || segments[1] !== 'admin') return sendPage(response, 404);
    const rest = segments.slice(2);
    if (request.method === 'OPTIONS') return sendPreflight(response);
    if (request.method === 'HEAD' && rest.length === 0) return send(response, { status: 200 });
    if (rest.length === 0 || !isMethod(request.method)) return sendPage(response, 404);
    const refused = this.#authentication.check(request, query);
    if (refused !== undefined) {
      const body = { error_msg: 'failed to check token', description: refused };
      return send(response, { status: 401, body });
    }
    const body = await readBody(request);
    send(response, body.ok ? await this.#answer(request, rest, query, body.text) : body.reply);
  }

  async #answer(
    request: IncomingMessage,
    segments: readonly string[],
    query: URLSearchParams,
    text: string,
  ): Promise<AdminReply> {
    const { configuration, extensions } = this.#options;
    const method = request.method as ResourceRequest['method'];
    const [first, second, third] = segments;
    switch (`${method} ${first}/${second ?? ''}`) {
      case 'GET plugins/list':
        return pluginList(configuration, query);
      case 'PUT plugins/reload':
        await this.#options.reloadPlugins?.();
        return { status: 200, body: 'done' };
      case 'POST schema/validate':
        return this.#validate(third, text);
      case 'POST configs/validate':
        return validateConfiguration(configuration, text, request.headers['content-type'] ?? '');
      case 'GET openapi.json/':
        return { status: 200, body: openApi(configuration) };
    }
    if (method === 'GET' && first === 'routes' && third === 'effective' && segments.length === 3) {
      return effective(configuration, second, query.get('consumer'));
    }
    if (extensions !== undefined && Object.hasOwn(extensions, first)) {
      return extensions[first]({ method, segments: segments.slice(1), query, body: text });
    }
    if (first === 'plugins' || first === 'schema') {
      if (method !== 'GET') return errorReply(404, 'not found');
      if (first === 'plugins') return pluginSchema(configuration, second, query);
      return second === 'plugins' ? pluginSchema(configuration, third, query) : resourceSchema(second);
    }
    if (!isKind(first)) return errorReply(404, `Unsupported resource type: ${first}`);
    const parsed = parseJson(text);
    if (!parsed.ok) return parsed.reply;
    const ttl = parseTtl(query);
    if (ttl === null) return errorReply(400, 'invalid argument ttl: should be a number');
    const path = resourcePath(first, segments);
    return answerResource(configuration, this.#writer, { method, path, query, value: parsed.value, ttl });
  }

  #validate(name: string | undefined, text: string): AdminReply {
    if (name === undefined || !isKnown(name))
      return errorReply(404, `Unsupported resource type: ${name ?? ''}`);
    const parsed = parseJson(text);
    return parsed.ok ? validateSchema(name, parsed.value) : parsed.reply;
  }
}

function isMethod(method: string | undefined): method is ResourceRequest['method'] {
  return (METHODS as readonly (string | undefined)[]).includes(method);
}

function isKnown(name: string): name is Kind {
  return Object.hasOwn(resources, name);
}

/** A kind that has a path of its own; Credentials are below their Consumer. */
function isKind(name: string): name is Kind {
  return isKnown(name) && name !== 'credentials';
}

/** The segments of the path, decoded, and the query. Undefined when the path can't be decoded. */
function parseTarget(target: string): { segments: string[]; query: URLSearchParams } | undefined {
  const origin = /^https?:\/\/[^/?#]*/i.exec(target);
  const local = origin === null ? target : target.slice(origin[0].length);
  const mark = local.indexOf('?');
  const path = mark === -1 ? local : local.slice(0, mark);
  const query = new URLSearchParams(mark === -1 ? '' : local.slice(mark + 1));
  try {
    // Decoded first, as nginx does: an id can't smuggle in a slash.
    return {
      segments: decodeURIComponent(path)
        .split('/')
        .filter((segment) => segment !== ''),
      query,
    };
  } catch {
    return undefined;
  }
}

/** Seconds; undefined when none is asked for, null when it is no number. */
function parseTtl(query: URLSearchParams): number | undefined | null {
  const text = query.get('ttl');
  if (text === null) return undefined;
  const ttl = text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(ttl) && ttl > 0 ? ttl : null;
}
