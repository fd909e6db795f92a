import { captures } from '../lib/path-pattern.ts';
import { maskOf, methodMask } from '../model/method-mask.ts';
import type { Resource, Value } from '../model/resource.ts';
import type { Timeout } from '../model/upstream.ts';
import type { CompiledRoute, Timeouts } from './compiled-route.ts';
import type { Exchange } from './exchange.ts';
import type { Pipeline } from './pipeline.ts';
import { timeoutsOf, type Upstream } from './upstream.ts';

/** What a Route gets from the Runtime when it is first used. */
export interface RouteCompiler {
  pipelineOf(resource: Resource): Pipeline;
  upstreamOf(resource: Resource): Upstream | undefined;
  expressionOf(vars: readonly unknown[]): (exchange: Exchange) => boolean;
  addressSetOf(addresses: readonly string[]): { has(address: string): boolean };
}

interface RouteValue {
  readonly uri?: string;
  readonly uris?: readonly string[];
  readonly host?: string;
  readonly hosts?: readonly string[];
  readonly methods?: readonly string[];
  readonly remote_addr?: string;
  readonly remote_addrs?: readonly string[];
  readonly vars?: readonly unknown[];
  readonly priority?: number;
  readonly name?: string;
  readonly service_id?: string | number;
  readonly timeout?: Timeout;
  readonly enable_websocket?: boolean;
}

/** Which predicate of a Route refused a request, and why. */
export interface RouteRefusal {
  readonly predicate: 'methods' | 'remote_addrs' | 'vars';
  readonly detail: string;
}

/**
 * A Route in the router. What it takes to match is there at once; Pipeline and Upstream are
 * compiled when the first request comes, so that 10 000 Routes start as fast as one and a changed
 * Service costs nothing until somebody calls its Routes.
 */
export class RouteEntry implements CompiledRoute {
  readonly id: string;
  readonly name: string;
  readonly serviceId: string | undefined;
  readonly serviceName: string;
  readonly hosts: readonly string[];
  readonly uris: readonly string[];
  readonly priority: number;
  readonly websocket: boolean;
  readonly timeouts: Timeouts | undefined;
  readonly resource: Resource;
  active = 0;
  retired = false;
  readonly #compiler: RouteCompiler;
  readonly #methods: number;
  readonly #addresses: { has(address: string): boolean } | undefined;
  readonly #vars: ((exchange: Exchange) => boolean) | undefined;
  readonly #value: RouteValue;
  #pipeline: Pipeline | undefined;
  #upstream: Upstream | undefined | null = null;

  constructor(resource: Resource, service: Resource | undefined, compiler: RouteCompiler) {
    const value = resource.value as RouteValue;
    const serviceValue = service?.value as RouteValue | undefined;
    this.resource = resource;
    this.#value = value;
    this.id = resource.id;
    this.name = value.name ?? '';
    this.serviceId = service?.id;
    this.serviceName = serviceValue?.name ?? '';
    const hosts = listOf(value.host, value.hosts);
    this.hosts = (hosts.length > 0 ? hosts : listOf(serviceValue?.host, serviceValue?.hosts)).map((host) =>
      host.toLowerCase(),
    );
    this.uris = listOf(value.uri, value.uris).map(escapeNonAscii);
    this.priority = value.priority ?? 0;
    this.websocket = value.enable_websocket ?? serviceValue?.enable_websocket ?? false;
    this.timeouts = value.timeout && timeoutsOf(value.timeout);
    this.#compiler = compiler;
    this.#methods = value.methods === undefined ? -1 : maskOf(value.methods);
    const addresses = listOf(value.remote_addr, value.remote_addrs);
    this.#addresses = addresses.length > 0 ? compiler.addressSetOf(addresses) : undefined;
    this.#vars = value.vars && value.vars.length > 0 ? compiler.expressionOf(value.vars) : undefined;
  }

  accepts(exchange: Exchange): boolean {
    if (this.#methods !== -1) {
      const { requestHead: head } = exchange;
      if ((methodMask(head.bytes, head.methodStart, head.methodEnd) & this.#methods) === 0) return false;
    }
    if (this.#addresses !== undefined && !this.#addresses.has(exchange.request.clientAddress)) return false;
    return this.#vars === undefined || this.#vars(exchange);
  }

  /** Why `accepts` says no; undefined when it says yes. For explaining: it compiles anew what it tells apart. */
  explainRefusal(exchange: Exchange): RouteRefusal | undefined {
    if (this.accepts(exchange)) return undefined;
    const { methods, remote_addr: address, remote_addrs: addresses, vars = [] } = this.#value;
    const { request } = exchange;
    if (methods !== undefined && !methods.includes(request.method))
      return { predicate: 'methods', detail: `${request.method} is not among ${methods.join(', ')}` };
    if (this.#addresses?.has(request.clientAddress) === false) {
      const wanted = listOf(address, addresses).join(', ');
      return { predicate: 'remote_addrs', detail: `${request.clientAddress} is not in ${wanted}` };
    }
    // A list of lists means AND: the first part that fails is the reason.
    const parts = Array.isArray(vars[0]) ? vars : [vars];
    const failing = parts.find((part) => !this.#compiler.expressionOf([part])(exchange)) ?? vars;
    return { predicate: 'vars', detail: `${JSON.stringify(failing)} is not so` };
  }

  get pipeline(): Pipeline {
    this.#pipeline ??= this.#compiler.pipelineOf(this.resource);
    return this.#pipeline;
  }

  get upstream(): Upstream | undefined {
    if (this.#upstream === null) this.#upstream = this.#compiler.upstreamOf(this.resource);
    return this.#upstream;
  }

  /** What it was compiled from has changed. */
  forgetUpstream(): void {
    this.#upstream = null;
  }

  /** No new Exchange gets it; its Bindings end with the last one that has it. */
  retire(): void {
    this.retired = true;
    this.released();
  }

  /** An Exchange that used it has ended, or it is used no more. */
  released(): void {
    if (this.retired && this.active === 0) {
      this.#pipeline?.dispose();
      this.#pipeline = undefined;
    }
  }

  matchedUri(path: string): string | undefined {
    return this.uris.length === 1 ? this.uris[0] : this.uris.find((uri) => captures(uri, path) !== undefined);
  }

  uriParameter(path: string, name: string): string | undefined {
    const uri = this.matchedUri(path);
    return uri === undefined ? undefined : captures(uri, path)?.[name];
  }
}

function listOf(one: string | undefined, many: readonly string[] | undefined): readonly string[] {
  return many ?? (one === undefined ? [] : [one]);
}

/** A uri written with letters beyond ASCII matches their escaped form, which is what comes over the wire. */
function escapeNonAscii(uri: string): string {
  return uri.replace(/[^\x21-\x7e]+/g, encodeURIComponent);
}

export type { Value };
