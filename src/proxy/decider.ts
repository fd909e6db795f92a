// From a complete head to an answer or an Upstream: the one way that traffic takes and that an
// evaluation takes, too (DESIGN: one evaluator).

import { normalizePath } from '../lib/normalize-path.ts';
import type { MaybePromise } from '../plugin/define-plugin.ts';
import { dropReply, type Reply, reply } from '../plugin/reply.ts';
import { UNAUTHENTICATED } from './compile-pipeline.ts';
import { type Exchange, Stage } from './exchange.ts';
import { type Pipeline, PluginFailure, runSteps, type Step } from './pipeline.ts';
import type { RouteEntry } from './route-entry.ts';
import type { Runtime } from './runtime.ts';
import type { Upstream } from './upstream.ts';

const NOT_FOUND = reply(404, { error_msg: '404 Route Not Found' }, { reason: 'no_route' });
const NO_UPSTREAM = reply(
  503,
  { error_msg: 'missing upstream configuration in Route or Service' },
  { reason: 'no_upstream' },
);
const BAD_PATH: Reply = { status: 400, headers: [], body: undefined, reason: 'bad_target' };

/** Decides what becomes of an Exchange. What it does in between may be watched by overriding it. */
export class Decider {
  readonly runtime: Runtime;

  constructor(runtime: Runtime) {
    this.runtime = runtime;
  }

  decide(exchange: Exchange): void {
    exchange.stage = Stage.Deciding;
    exchange.revision = this.runtime.revision;
    const { requestHead: head, request } = exchange;
    if (head.pathNeedsCare) {
      const path = normalizePath(request.path);
      if (path === undefined) return exchange.reply(BAD_PATH);
      request.path = path;
    }
    if (exchange.tls !== null) {
      const refusal = exchange.tls.refusal(request.host, request.path);
      if (refusal !== undefined) return exchange.reply(refusal);
    }
    const { router } = this.runtime;
    const route = this.match(exchange, router.hasHosts ? request.host : '', request.path);
    let pipeline: Pipeline;
    if (route === undefined) pipeline = this.runtime.notFound;
    else {
      exchange.route = route;
      route.active++;
      pipeline = route.pipeline;
    }
    exchange.second = pipeline.second;
    if (pipeline.first !== null) {
      const outcome = this.runSteps(pipeline.first, exchange);
      if (outcome instanceof Promise) {
        exchange.forwarding.keepFirst();
        void exchange.wait(outcome, (reply) => this.#identified(exchange, pipeline, reply));
        return;
      }
      this.#identified(exchange, pipeline, outcome);
    } else this.#identified(exchange, pipeline, undefined);
    exchange.forwarding.keepFirst();
  }

  /** The Exchange has ended: its Route may go when it was replaced. */
  release(exchange: Exchange): void {
    const { route } = exchange;
    exchange.route = exchange.second = null;
    if (route === null) return;
    route.active--;
    if (route.retired) route.released();
  }

  protected match(exchange: Exchange, host: string, path: string): RouteEntry | undefined {
    return this.runtime.router.match(host, path, exchange);
  }

  protected runSteps(steps: readonly Step[], exchange: Exchange): MaybePromise<Reply | undefined> {
    return runSteps(steps, exchange);
  }

  protected send(exchange: Exchange, upstream: Upstream): void {
    exchange.forwarding.forward(upstream);
  }

  /** The first half is over: the caller is known, or nobody. */
  #identified(exchange: Exchange, pipeline: Pipeline, denial: Reply | undefined): void {
    if (exchange.stage !== Stage.Deciding) return dropReply(denial);
    if (exchange.consumer !== undefined) exchange.second = pipeline.secondFor(exchange.consumer);
    if (denial !== undefined) return exchange.reply(denial);
    if (exchange.route === null) return exchange.reply(NOT_FOUND);
    if (exchange.consumer === undefined && pipeline.authenticates?.(exchange))
      return exchange.reply(UNAUTHENTICATED);
    if (exchange.second!.needsRequestBody) exchange.forwarding.collect(() => this.#access(exchange));
    else this.#access(exchange);
  }

  #access(exchange: Exchange): void {
    const { steps } = exchange.second!;
    if (steps === null) return this.#forward(exchange);
    const outcome = this.runSteps(steps, exchange);
    if (outcome instanceof Promise) {
      exchange.forwarding.keepFirst();
      void exchange.wait(outcome, (reply) => {
        if (exchange.stage !== Stage.Deciding) return dropReply(reply);
        if (reply !== undefined) exchange.reply(reply);
        else this.#forward(exchange);
      });
      return;
    }
    if (outcome !== undefined) exchange.reply(outcome);
    else this.#forward(exchange);
  }

  #forward(exchange: Exchange): void {
    const upstream = exchange.chosenUpstream ?? exchange.route!.upstream;
    if (upstream === undefined) return exchange.reply(NO_UPSTREAM);
    const { beforeProxy } = exchange.second!;
    if (beforeProxy !== null) {
      for (const step of beforeProxy) {
        try {
          step.run(exchange);
        } catch (error) {
          throw new PluginFailure(step, error);
        }
      }
    }
    this.send(exchange, upstream);
  }
}
