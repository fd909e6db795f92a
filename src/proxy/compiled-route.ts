import type { Deadlines } from '../lib/deadlines.ts';
import type { Exchange } from './exchange.ts';
import type { Pipeline } from './pipeline.ts';
import type { Upstream } from './upstream.ts';

/** Timeouts of one Route or Upstream, as deadline lists. */
export interface Timeouts {
  readonly connect: Deadlines;
  readonly send: Deadlines;
  readonly read: Deadlines;
  /** For all attempts, until an answer has begun. */
  readonly total: Deadlines | undefined;
}

/** A Route ready to serve. */
export interface CompiledRoute {
  readonly id: string;
  readonly name: string;
  readonly serviceId: string | undefined;
  readonly serviceName: string;
  readonly hosts: readonly string[];
  readonly uris: readonly string[];
  readonly priority: number;
  readonly pipeline: Pipeline;
  /** undefined when neither Route nor Service names one: a Plugin must answer. */
  readonly upstream: Upstream | undefined;
  /** The Route's own timeouts, before the Upstream's. */
  readonly timeouts: Timeouts | undefined;
  readonly websocket: boolean;
  /** Everything beyond host and path: method, address, vars. */
  accepts(exchange: Exchange): boolean;
  /** The configured uri that matched. */
  matchedUri(path: string): string | undefined;
  uriParameter(path: string, name: string): string | undefined;
  /** Exchanges that use it; the Pipeline is disposed of when a replaced Route has none. */
  active: number;
  released(): void;
  retired: boolean;
}
