import type { Resource } from '../model/resource.ts';
import type { Runtime } from './runtime.ts';
import { StreamPipeline } from './stream-pipeline.ts';
import { type StreamConditions, StreamRouter } from './stream-router.ts';
import type { Upstream } from './upstream.ts';

/** A stream route ready to serve. Its Upstream and its Bindings are made when it is first used. */
export class StreamRoute implements StreamConditions {
  readonly id: string;
  readonly name: string;
  readonly sni: string | undefined;
  readonly remoteAddress: string | undefined;
  readonly serverAddress: string | undefined;
  readonly serverPort: number | undefined;
  /** TLS is passed on as it is, also where the Listener could terminate it. */
  readonly tlsPassthrough: boolean;
  readonly resource: Resource;
  readonly service: Resource | undefined;
  readonly #runtime: Runtime;
  #upstream: Upstream | undefined;
  #pipeline: StreamPipeline | undefined;
  #users = 0;
  #retired = false;

  constructor(resource: Resource, service: Resource | undefined, runtime: Runtime) {
    const { value } = resource;
    this.id = resource.id;
    this.name = (value.name as string | undefined) ?? '';
    this.sni = value.sni as string | undefined;
    this.remoteAddress = value.remote_addr as string | undefined;
    this.serverAddress = value.server_addr as string | undefined;
    this.serverPort = value.server_port as number | undefined;
    this.tlsPassthrough = value.tls_passthrough === true;
    this.resource = resource;
    this.service = service;
    this.#runtime = runtime;
  }

  get upstream(): Upstream | undefined {
    return (this.#upstream ??= this.#runtime.upstreamOf(this.resource));
  }

  /** Throws a ConfigError when its Bindings can't be made. */
  get pipeline(): StreamPipeline {
    return (this.#pipeline ??= new StreamPipeline(this.#runtime.streamBindingsOf(this.resource)));
  }

  /** The Upstream may have been configured anew. */
  forgetUpstream(): void {
    this.#upstream = undefined;
  }

  /** To be told of each connection on it, so that nothing is disposed of in use. */
  enter(): void {
    this.#users++;
  }

  leave(): void {
    this.#users--;
    this.#disposeIfUnused();
  }

  /** New connections don't come here any more. */
  retire(): void {
    this.#retired = true;
    this.#disposeIfUnused();
  }

  #disposeIfUnused(): void {
    if (!this.#retired || this.#users > 0) return;
    this.#pipeline?.dispose();
    this.#pipeline = undefined;
  }
}

/** The stream routes of the present revision. */
export class StreamRoutes {
  readonly runtime: Runtime;
  #routes = new Map<string, StreamRoute>();
  #router = new StreamRouter<StreamRoute>([]);
  #stale = true;

  constructor(runtime: Runtime) {
    this.runtime = runtime;
    runtime.onChange = () => {
      this.#stale = true;
    };
  }

  get router(): StreamRouter<StreamRoute> {
    if (this.#stale) this.#compile();
    return this.#router;
  }

  #compile(): void {
    this.#stale = false;
    const { snapshot } = this.runtime;
    const before = this.#routes;
    const routes = new Map<string, StreamRoute>();
    let same = true;
    for (const resource of snapshot.list('stream_routes')) {
      const { service_id: serviceId } = resource.value;
      const service = serviceId === undefined ? undefined : snapshot.get('services', String(serviceId));
      const known = before.get(resource.id);
      const kept = known?.resource === resource && known.service === service;
      if (kept) known.forgetUpstream();
      else same = false;
      routes.set(resource.id, kept ? known : new StreamRoute(resource, service, this.runtime));
    }
    for (const [id, route] of before) if (routes.get(id) !== route) route.retire();
    if (same && routes.size === before.size) return;
    this.#routes = routes;
    this.#router = new StreamRouter(routes.values());
  }
}
