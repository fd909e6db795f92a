// One request on its way through the very code that carries traffic, watched, without a connection
// to answer on and without a Target to send to.

import { isUtf8 } from 'node:buffer';
import { COMPLETE, MORE } from '../http/field-parser.ts';
import { output } from '../http/output.ts';
import { Refusal } from '../http/protocol-error.ts';
import { parseRequest, type RequestLimits } from '../http/request-parser.ts';
import type { GeoSource } from '../model/geo-place.ts';
import { Decider } from './decider.ts';
import { Exchange } from './exchange.ts';
import type { ExchangeHost } from './exchange-host.ts';
import type {
  EvaluationRequest,
  ExplainedCandidate,
  ExplainedStep,
  Explanation,
  ForwardVerdict,
  NamedBinding,
  ReplyVerdict,
} from './explanation.ts';
import { applyTrust, type TrustedHops, writeForwarded } from './forwarded.ts';
import { type NamedStep, type Pipeline, PluginFailure, type SecondHalf, type Step } from './pipeline.ts';
import { shownField, shownQuery, shownTarget } from './redaction.ts';
import { requestBytes } from './request-bytes.ts';
import { writeRequestHead } from './request-writer.ts';
import type { RouteEntry } from './route-entry.ts';
import type { Runtime } from './runtime.ts';
import { StepTrace } from './step-trace.ts';
import type { Upstream } from './upstream.ts';

/** What clients may send, as the listeners have it. */
export interface EvaluationLimits extends RequestLimits {
  readonly maxHeadBytes: number;
  /** 0 means no limit. */
  readonly maxBodyBytes: number;
  readonly maxCollectedBytes: number;
}

export interface EvaluationInputs {
  /** Unix milliseconds. */
  readonly now: number;
  readonly seed: number;
  readonly limits: EvaluationLimits;
  readonly trusted: TrustedHops | undefined;
  /** Of the listeners: the one that the URL names, else the first. */
  readonly ports: readonly number[];
}

/** Candidates that are shown; the rest is counted. */
const MOST_CANDIDATES = 50;

/** An Exchange with a given time and id, that ends before its log. */
class EvaluatedExchange extends Exchange {
  readonly #startedAt: number;
  readonly #id: string;

  constructor(host: ExchangeHost, { now, seed }: EvaluationInputs) {
    super(host);
    this.#startedAt = now;
    this.#id = (seed >>> 0).toString(16).padStart(32, '0');
  }

  override get startedAt(): number {
    return this.#startedAt;
  }

  override get id(): string {
    return this.#id;
  }

  override finish(): void {
    this.second = null;
    super.finish();
  }
}

export class Evaluation extends Decider implements ExchangeHost {
  readonly maxCollectedBytes: number;
  readonly #inputs: EvaluationInputs;
  readonly #request: EvaluationRequest;
  readonly #scheme: 'http' | 'https';
  readonly #port: number;
  readonly #bytes: Buffer;
  readonly #trace = new StepTrace();
  readonly #exchange: EvaluatedExchange;
  readonly #ended = Promise.withResolvers<void>();
  readonly #candidates: ExplainedCandidate[] = [];
  #moreCandidates = 0;
  /** The head was accepted. */
  #parsed = false;
  /** Its Route was looked for. */
  #matched = false;
  #route: RouteEntry | undefined;
  #forward: ForwardVerdict | undefined;
  #failure: unknown;

  /** Throws a TypeError for a request that no client could send. */
  constructor(runtime: Runtime, request: EvaluationRequest, inputs: EvaluationInputs) {
    super(runtime);
    const { bytes, scheme, port } = requestBytes(request);
    this.#request = request;
    this.#inputs = inputs;
    this.#bytes = bytes;
    this.#scheme = scheme;
    const named = port ?? (scheme === 'https' ? 443 : 80);
    this.#port = inputs.ports.includes(named) ? named : (inputs.ports[0] ?? named);
    this.maxCollectedBytes = inputs.limits.maxCollectedBytes;
    this.#exchange = new EvaluatedExchange(this, inputs);
    this.#exchange.begin(null);
  }

  /** Runs it; resolves when the Exchange has ended. */
  run(): Promise<void> {
    this.#receive();
    return this.#ended.promise;
  }

  get geo(): GeoSource | undefined {
    return this.runtime.geo;
  }

  // As a client's connection does it, with all bytes at once.

  #receive(): void {
    const exchange = this.#exchange;
    const { limits } = this.#inputs;
    const bytes = this.#bytes;
    const head = exchange.requestHead;
    for (let at = 0; ; ) {
      at += head.append(bytes, at, bytes.length);
      const result = parseRequest(head, limits);
      if (result === COMPLETE) break;
      if (result !== MORE) return exchange.onRefused(result);
      if (at === bytes.length) throw new TypeError('the request has no end');
      if (!head.grow(limits.maxHeadBytes)) return exchange.onRefused(Refusal.HeadTooLarge);
    }
    if (head.length > limits.maxHeadBytes) return exchange.onRefused(Refusal.HeadTooLarge);
    const size = Math.max(head.contentLength, bytes.length - head.length);
    if (limits.maxBodyBytes > 0 && size > limits.maxBodyBytes)
      return exchange.onRefused(Refusal.BodyTooLarge);
    this.#parsed = true;
    exchange.onRequest(bytes, head.length, bytes.length, true);
  }

  // As the data plane does it.

  admit(exchange: Exchange): void {
    const { request } = exchange;
    request.peerAddress = request.clientAddress = this.#request.client ?? '127.0.0.1';
    request.scheme = this.#scheme;
    exchange.localPort = this.#port;
    if (this.#inputs.trusted !== undefined) applyTrust(exchange, this.#inputs.trusted);
  }

  protected override match(exchange: Exchange, host: string, path: string): RouteEntry | undefined {
    const route = super.match(exchange, host, path);
    this.#matched = true;
    this.#route = route;
    for (const candidate of this.runtime.router.candidates(host, path)) {
      if (this.#candidates.length === MOST_CANDIDATES) {
        this.#moreCandidates++;
        continue;
      }
      const { entry, uri } = candidate;
      const refusal = entry === route ? undefined : entry.explainRefusal(exchange);
      const outcome = entry === route ? 'matched' : refusal === undefined ? 'outranked' : 'refused';
      const { id, name, priority } = entry;
      this.#candidates.push({
        route: id,
        name,
        host: candidate.host ?? null,
        uri,
        priority,
        outcome,
        ...refusal,
      });
    }
    return route;
  }

  protected override runSteps(steps: readonly Step[], exchange: Exchange) {
    return super.runSteps(
      steps.map((step) => this.#trace.watch(step)),
      exchange,
    );
  }

  protected override send(exchange: Exchange, upstream: Upstream): void {
    const admission = upstream.breaker?.admit() ?? 0;
    if (admission > 0) return exchange.reply(upstream.breaker!.refusal(admission));
    const target = upstream.pick(exchange, []);
    if (target === undefined) return exchange.reply(upstream.noTarget);
    exchange.targetKey = target.key;
    output.begin();
    writeRequestHead(exchange, upstream, target);
    const head = output.bytes.latin1Slice(0, output.length);
    output.begin();
    this.#forward = forwardVerdict(upstream, target.key, head);
    exchange.finish();
  }

  writeForwarded(exchange: Exchange): void {
    writeForwarded(exchange);
  }

  portText(port: number): string {
    return String(port);
  }

  onFailure(_exchange: Exchange, error: unknown): void {
    this.#failure = error;
  }

  record(): void {}

  override release(exchange: Exchange): void {
    super.release(exchange);
    this.#ended.resolve();
  }

  // What there is to tell, once it has run.

  explain(): Omit<Explanation, 'counters' | 'log'> {
    const exchange = this.#exchange;
    const { request, consumer } = exchange;
    const parsed = this.#parsed;
    const pipeline = this.#pipeline();
    const second = pipeline && this.#second(pipeline);
    return {
      revision: this.runtime.revision,
      request: {
        method: parsed ? request.method : (this.#request.method ?? 'GET'),
        scheme: request.scheme,
        host: parsed ? request.host : '',
        path: parsed ? request.path : '',
        query: parsed ? shownQuery(request.query) : '',
        target: shownTarget(parsed ? request.target : this.#request.url),
        client_address: request.clientAddress,
        peer_address: request.peerAddress,
        peer_trusted: request.peerTrusted,
      },
      candidates: this.#candidates,
      more_candidates: this.#moreCandidates,
      route: this.#route === undefined ? null : explainRoute(this.#route, request.path),
      consumer:
        consumer === undefined
          ? null
          : {
              username: consumer.username,
              group: consumer.groupId ?? null,
              credential: exchange.credentialId ?? null,
              by: this.#trace.recognised,
            },
      chain: pipeline === undefined || second === undefined ? [] : this.#chain(pipeline, second),
      buffers: {
        request: buffering(second, 'request'),
        response: buffering(second, 'response'),
      },
      verdict: this.#forward ?? this.#replyVerdict(),
    };
  }

  #pipeline(): Pipeline | undefined {
    if (!this.#matched) return undefined;
    try {
      return this.#route === undefined ? this.runtime.notFound : this.#route.pipeline;
    } catch {
      return undefined; // It can't be compiled, which is the failure that was told.
    }
  }

  #second(pipeline: Pipeline): SecondHalf {
    const { consumer } = this.#exchange;
    try {
      return consumer === undefined ? pipeline.second : pipeline.secondFor(consumer);
    } catch {
      return pipeline.second;
    }
  }

  #chain(pipeline: Pipeline, second: SecondHalf): ExplainedStep[] {
    const forwarded = this.#forward !== undefined;
    // Response phases run for a Reply, but not for the answer to a failure.
    const answered = forwarded ? 'later' : this.#failure === undefined ? 'passed' : 'not_reached';
    return [
      ...[...(pipeline.first ?? []), ...(second.steps ?? [])].map((step) => this.#ran(step)),
      ...(second.beforeProxy ?? []).map((step) => this.#follows(step, forwarded ? 'passed' : 'not_reached')),
      ...(second.responseHeaders ?? []).map((step) => this.#follows(step, answered)),
      ...(second.responseBody ?? []).map((step) => this.#follows(step, answered)),
      ...(second.log ?? []).map((step) => this.#follows(step, 'later')),
    ];
  }

  #ran(step: NamedStep): ExplainedStep {
    const trace = this.#trace.of(step);
    if (trace?.outcome === 'failed') return { ...named(step), ...trace, ...this.#failureDetail() };
    return { ...named(step), ...(trace ?? { outcome: 'not_reached' }) };
  }

  /** A step after the decision: it ran, or will run, for all or for none. */
  #follows(step: NamedStep, outcome: ExplainedStep['outcome']): ExplainedStep {
    if (this.#failure instanceof PluginFailure && this.#failure.isOf(step))
      return { ...named(step), outcome: 'failed', ...this.#failureDetail() };
    if (step.filter === null || outcome === 'not_reached') return { ...named(step), outcome };
    const filter = step.filter(this.#exchange);
    return { ...named(step), filter, outcome: filter ? outcome : 'filtered' };
  }

  #failureDetail(): { readonly detail?: string } {
    if (this.#failure === undefined) return {};
    return { detail: this.#failure instanceof Error ? this.#failure.message : String(this.#failure) };
  }

  #replyVerdict(): ReplyVerdict {
    const { response, responseHead, reason } = this.#exchange;
    const { edits, status } = response;
    const bodiless = status === 204 || status === 304;
    const typed: [string, string][] =
      bodiless || edits.has('content-type') ? [] : [['Content-Type', edits.defaultType]];
    const bytes = bodiless ? new Uint8Array(0) : (response.replacement ?? new Uint8Array(0));
    const encoding = isUtf8(bytes) ? 'utf-8' : 'base64';
    return {
      type: 'reply',
      status,
      headers: [...typed, ...edits.entries(responseHead)].map(([name, value]) => [
        name,
        shownField(name, value),
      ]),
      body: Buffer.from(bytes).toString(encoding),
      encoding,
      reason,
      ...this.#failureDetail(),
      by: this.#author(),
    };
  }

  #author(): NamedBinding | null {
    if (this.#failure === undefined) return this.#trace.replied;
    if (!(this.#failure instanceof PluginFailure)) return null;
    const { plugin, place } = this.#failure;
    return { plugin, place };
  }
}

function named({ plugin, place, phase, binding }: NamedStep) {
  return { phase, plugin, priority: binding.priority, place };
}

function explainRoute(route: RouteEntry, path: string): Explanation['route'] {
  const { id, name, serviceId } = route;
  return { id, name, uri: route.matchedUri(path) ?? '', service: serviceId ?? null };
}

function buffering(second: SecondHalf | undefined, body: 'request' | 'response'): NamedBinding[] {
  return (second?.bindings ?? [])
    .filter(({ plugin, config }) => {
      const need = plugin.needsBody?.(config as never);
      return need === body || need === 'both';
    })
    .map(({ plugin, place }) => ({ plugin: plugin.name, place: `${place.kind}/${place.id}` }));
}

function forwardVerdict(upstream: Upstream, target: string, head: string): ForwardVerdict {
  const [line, ...fields] = head.split('\r\n').filter((text) => text !== '');
  const [method, requestTarget, version] = line.split(' ');
  return {
    type: 'forward',
    upstream: {
      id: upstream.id,
      key: upstream.key,
      scheme: upstream.scheme,
      targets: upstream.targets.map(({ key }) => key),
      unhealthy: upstream.unhealthy().map(({ key }) => key),
    },
    target,
    request_line: `${method} ${shownTarget(requestTarget)} ${version}`,
    headers: fields.map((field) => {
      const colon = field.indexOf(':');
      const name = field.slice(0, colon);
      return [name, shownField(name, field.slice(colon + 1).trim())];
    }),
  };
}
