// What of the Kubernetes API server discovery relies on: EndpointSlices by HTTPS with tokens, list
// and watch with resource versions, bookmarks and 410 Gone, as
// kubernetes.io/docs/reference/using-api/api-concepts describes them.

import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import type { Scope } from './echo-upstream.ts';
import { RestServer } from './rest-server.ts';

export interface Slice {
  readonly service: string;
  readonly namespace?: string;
  readonly addresses: readonly { readonly ip: string; readonly ready?: boolean }[];
  readonly ports: readonly { readonly name?: string; readonly port: number }[];
}

interface Stored {
  readonly kind: 'EndpointSlice';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly resourceVersion: string;
  };
  readonly [field: string]: unknown;
}

interface Event {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: Stored;
}

interface Watcher {
  readonly response: ServerResponse;
  readonly concerns: (slice: Stored) => boolean;
}

const certificate = (name: string) => path.join(import.meta.dirname, 'certificates', name);

export class KubernetesServer {
  /** Of the authority that its certificate is from. */
  static readonly caFile = certificate('server.crt');

  readonly http: RestServer;
  readonly tokens = new Set<string>();
  lists = 0;
  /** The version that each watch began with. */
  readonly watches: string[] = [];
  #version = 100;
  readonly #slices = new Map<string, Stored>();
  #events: Event[] = [];
  /** Events before this version are forgotten. */
  #oldest = 0;
  readonly #watchers = new Set<Watcher>();

  private constructor(scope: Scope) {
    this.http = new RestServer(scope, (request, response) => this.#answer(request, response), {
      cert: readFileSync(certificate('server.crt')),
      key: readFileSync(certificate('server.key')),
    });
  }

  static async start(scope: Scope): Promise<KubernetesServer> {
    const server = new KubernetesServer(scope);
    await server.http.open();
    return server;
  }

  get watching(): number {
    return this.#watchers.size;
  }

  put(name: string, { service, namespace = 'default', addresses, ports }: Slice): void {
    const key = `${namespace}/${name}`;
    const type = this.#slices.has(key) ? 'MODIFIED' : 'ADDED';
    const version = ++this.#version;
    const object: Stored = {
      kind: 'EndpointSlice',
      metadata: {
        name,
        namespace,
        labels: { 'kubernetes.io/service-name': service },
        resourceVersion: String(version),
      },
      addressType: 'IPv4',
      endpoints: addresses.map(({ ip, ready }) => ({
        addresses: [ip],
        conditions: ready === undefined ? {} : { ready },
      })),
      ports: ports.map(({ name = '', port }) => ({ name, port, protocol: 'TCP' })),
    };
    this.#slices.set(key, object);
    this.#publish({ version, type, object });
  }

  remove(name: string, namespace = 'default'): void {
    const object = this.#slices.get(`${namespace}/${name}`);
    if (object === undefined) return;
    this.#slices.delete(`${namespace}/${name}`);
    const version = ++this.#version;
    const metadata = { ...object.metadata, resourceVersion: String(version) };
    this.#publish({ version, type: 'DELETED', object: { ...object, metadata } });
  }

  /** Tells all watches how far they are, though nothing of theirs has changed. */
  bookmark(): void {
    const metadata = { resourceVersion: String(++this.#version) };
    for (const { response } of this.#watchers)
      response.write(
        `${JSON.stringify({ type: 'BOOKMARK', object: { kind: 'EndpointSlice', metadata } })}\n`,
      );
  }

  /** Forgets what has happened so far, as etcd's compaction does every five minutes. */
  compact(): void {
    this.#events = [];
    this.#oldest = ++this.#version;
  }

  /** As when `timeoutSeconds` have passed. */
  endWatches(): void {
    for (const { response } of [...this.#watchers]) response.end();
  }

  #publish(event: Event): void {
    this.#events.push(event);
    for (const { response, concerns } of this.#watchers)
      if (concerns(event.object)) response.write(`${textOf(event)}\n`);
  }

  #answer({ url: target = '', headers }: IncomingMessage, response: ServerResponse): void {
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    const token = headers.authorization?.replace(/^Bearer /, '') ?? '';
    if (!this.tokens.has(token)) return send(401, statusOf(401, 'Unauthorized'));
    const url = new URL(target, 'http://kubernetes');
    const found = /^\/apis\/discovery\.k8s\.io\/v1\/namespaces\/([^/]+)\/endpointslices$/.exec(url.pathname);
    if (found === null) return send(404, statusOf(404, 'NotFound'));
    const wanted = new Map(
      (url.searchParams.get('labelSelector') ?? '')
        .split(',')
        .map((one) => one.split('=') as [string, string]),
    );
    const concerns = ({ metadata }: Stored): boolean =>
      metadata.namespace === found[1] &&
      [...wanted].every(([label, value]) => metadata.labels[label] === value);
    if (url.searchParams.get('watch') === 'true') {
      const from = url.searchParams.get('resourceVersion') ?? '';
      const seconds = Number(url.searchParams.get('timeoutSeconds'));
      return this.#watch(response, from, concerns, seconds);
    }
    this.lists++;
    const items = [...this.#slices.values()].filter(concerns);
    const metadata = { resourceVersion: String(this.#version) };
    send(200, { kind: 'EndpointSliceList', metadata, items });
  }

  #watch(response: ServerResponse, from: string, concerns: Watcher['concerns'], seconds: number): void {
    this.watches.push(from);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (Number(from) < this.#oldest) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: statusOf(410, 'Expired') })}\n`);
      return;
    }
    for (const event of this.#events)
      if (event.version > Number(from) && concerns(event.object)) response.write(`${textOf(event)}\n`);
    const watcher = { response, concerns };
    this.#watchers.add(watcher);
    const timer = setTimeout(() => response.end(), seconds * 1000);
    response.on('close', () => {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    });
  }
}

function textOf({ type, object }: Event): string {
  return JSON.stringify({ type, object });
}

function statusOf(code: number, reason: string): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code };
}
