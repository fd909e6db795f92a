// What a case is: one claim, how to measure it, and what it should be.

import type { Bench } from './bench.ts';
import type { RunningGateway } from './running-gateway.ts';

/** What wrk sends, or h2load. */
export interface Load {
  /** HTTP/2 with prior knowledge by h2load, with so many requests at once on each connection; undefined for HTTP/1.1 by wrk. */
  readonly streams?: number;
  /** Over TLS, to the gateway's other port. */
  readonly tls?: boolean;
  readonly connections: number;
  readonly path: string;
  readonly headers: readonly string[];
  readonly method: 'GET' | 'POST';
  /** Bytes of request body. */
  readonly bodyBytes: number;
  /** One path per line, requested in turn instead of `path`. */
  readonly paths?: string;
  /** Every answer must have it. */
  readonly expectedStatus: number;
}

/** One gateway under one load. */
export interface Contender {
  /** As the tables show it. */
  readonly name: string;
  /** Which of the case's gateways it is; several contenders may share one. */
  readonly gateway: string;
  readonly load: Partial<Load>;
}

/** One line of the table of targets: one contender's CPU per request, divided by another's. */
export interface Comparison {
  readonly title: string;
  readonly subject: string;
  readonly against: string;
  /** The ratio is to be this at most. */
  readonly target?: number;
  readonly stretch?: number;
  /** What is known of others on the same kind of machine. */
  readonly known?: string;
}

/** Several gateways under load by turns. */
export interface LoadCase {
  readonly kind: 'load';
  /** For --only. */
  readonly name: string;
  readonly title: string;
  /** What is compared and why it is fair, for a reader of the page. */
  readonly about: string;
  readonly gateways: Readonly<Record<string, (bench: Bench) => Promise<RunningGateway>>>;
  readonly contenders: readonly Contender[];
  readonly comparisons: readonly Comparison[];
  /** The contender that --profile looks into. */
  readonly profiled?: string;
}

/** One measured figure. */
export interface Figure {
  readonly title: string;
  readonly unit: string;
  readonly value: number;
  readonly target?: number;
  /** Which side of the target is good. */
  readonly better: 'lower' | 'higher';
  readonly known?: string;
  /** What else was seen. */
  readonly detail?: string;
}

/** Something measured in its own way. */
export interface FigureCase {
  readonly kind: 'figures';
  readonly name: string;
  readonly title: string;
  readonly about: string;
  /** How long it takes, for the display. */
  readonly seconds: { readonly full: number; readonly quick: number };
  measure(bench: Bench): Promise<readonly Figure[]>;
}

export type BenchCase = LoadCase | FigureCase;
