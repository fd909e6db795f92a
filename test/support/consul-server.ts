// What of Consul discovery relies on, for machines without it: /v1/health/service with blocking
// queries as developer.hashicorp.com/consul/api-docs/features/blocking describes them.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Scope } from './echo-upstream.ts';
import { RestServer } from './rest-server.ts';

export interface ConsulInstance {
  /** Of the service; the Node's where it is empty. */
  readonly address: string;
  readonly port: number;
  readonly weight?: number;
  readonly status?: 'passing' | 'warning' | 'critical';
}

export class ConsulServer {
  readonly http: RestServer;
  /** The queries so far. */
  readonly queries: URLSearchParams[] = [];
  /** Who asks must send it. */
  token = '';
  #index = 10;
  readonly #services = new Map<string, { instances: readonly ConsulInstance[]; index: number }>();
  readonly #waiting = new Set<() => void>();

  private constructor(scope: Scope) {
    this.http = new RestServer(scope, (request, response) => this.#answer(request, response));
  }

  static async start(scope: Scope): Promise<ConsulServer> {
    const server = new ConsulServer(scope);
    await server.http.open();
    return server;
  }

  register(service: string, instances: readonly ConsulInstance[]): void {
    this.#services.set(service, { instances, index: ++this.#index });
    this.#wake();
  }

  deregister(service: string): void {
    this.#services.delete(service);
    this.#index++;
    this.#wake();
  }

  /** Writes that nobody asks for: the index of services without instances moves on. */
  churn(): void {
    this.#index++;
    this.#wake();
  }

  /** As a cluster that was restored from a snapshot: indexes begin anew. */
  restore(): void {
    this.#index = 2;
    for (const service of this.#services.values()) service.index = 1;
    this.#wake();
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  #indexOf(service: string): number {
    return this.#services.get(service)?.index ?? this.#index;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', 'http://consul');
    const service = /^\/v1\/health\/service\/([^/]+)$/.exec(url.pathname)?.[1];
    if (service === undefined) return void response.writeHead(404).end();
    if (this.token !== '' && request.headers['x-consul-token'] !== this.token)
      return void response.writeHead(403).end('Permission denied');
    this.queries.push(url.searchParams);
    const name = decodeURIComponent(service);
    const known = Number(url.searchParams.get('index') ?? 0);
    const seconds = Number(/^(\d+)s$/.exec(url.searchParams.get('wait') ?? '')?.[1] ?? 300);
    const send = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(look);
      response.setHeader('X-Consul-Index', this.#indexOf(name));
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(this.#entries(name, url.searchParams.has('passing'))));
    };
    // An index from a future that was lost doesn't block.
    const look = (): void => {
      if (this.#indexOf(name) !== known) send();
    };
    const timer = setTimeout(send, seconds * 1000 * (1 + Math.random() / 16));
    response.on('close', () => {
      clearTimeout(timer);
      this.#waiting.delete(look);
    });
    if (known === 0) return send();
    this.#waiting.add(look);
    look();
  }

  #entries(service: string, passing: boolean): unknown[] {
    const { instances = [] } = this.#services.get(service) ?? {};
    return instances
      .filter(({ status = 'passing' }) => !passing || status === 'passing')
      .map(({ address, port, weight = 1, status = 'passing' }) => ({
        Node: { Node: 'one', Address: '127.0.0.1' },
        Service: { Service: service, Address: address, Port: port, Weights: { Passing: weight, Warning: 1 } },
        Checks: [{ Status: status }],
      }));
  }
}
