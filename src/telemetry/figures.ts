// What the exposition tells besides Exchanges.

import type { GaugeReading } from '../model/gauge.ts';
import type { Readiness } from './status-answer.ts';

/** Gauges of one worker, or sums of several. */
export interface ConnectionFigures {
  active: number;
  accepted: number;
  handled: number;
  reading: number;
  writing: number;
  waiting: number;
}

/** A stretch of shared memory with a fixed size. */
export interface SharedMemoryFigures {
  readonly name: string;
  readonly capacityBytes: number;
  readonly freeBytes: number;
}

/** The health of a Target that is checked. */
export interface UpstreamStatus {
  /** APISIX's name of the resource that holds its Upstream. */
  readonly name: string;
  readonly ip: string;
  readonly port: number;
  readonly healthy: boolean;
}

/** The circuit breaker of an Upstream. */
export interface CircuitStatus {
  readonly name: string;
  readonly state: 'closed' | 'open' | 'half-open';
}

/** TLS handshakes of one worker. */
export interface HandshakeFigures {
  readonly full: number;
  readonly resumed: number;
  readonly failed: number;
}

/** A certificate and one of the names that it answers to. */
export interface CertificateFigures {
  readonly ssl: string;
  readonly sni: string;
  /** Unix seconds at which it ends. */
  readonly notAfter: number;
}

/** Told by the main thread whenever it likes; the newest are shown. */
export interface ReportedFigures {
  /** Entries thrown out for want of room, by the name of the state (`counters`, `cache`…). */
  readonly evictions?: Readonly<Record<string, number>>;
  readonly sharedMemory?: readonly SharedMemoryFigures[];
  readonly upstreamStatus?: readonly UpstreamStatus[];
  readonly circuits?: readonly CircuitStatus[];
  readonly readiness?: Readiness;
  /** What Plugins show. */
  readonly gauges?: readonly GaugeReading[];
  readonly controlPlane?: ControlPlaneFigures;
  readonly certificates?: readonly CertificateFigures[];
}

/** How a data plane stands with its control plane. */
export interface ControlPlaneFigures {
  readonly isConnected: boolean;
  /** What is served was on the disk, and may be old. */
  readonly isStale: boolean;
}

export interface Figures {
  readonly hostname: string;
  readonly version: string;
  readonly connections: ConnectionFigures;
  readonly sharedMemory: readonly SharedMemoryFigures[];
  readonly upstreamStatus: readonly UpstreamStatus[];
  readonly circuits: readonly CircuitStatus[];
  readonly evictions: Readonly<Record<string, number>>;
  /** Connections to Redis that workers want: those that stand and are answered, and the others. */
  readonly redis: { readonly ready: number; readonly down: number };
  /** Of a data plane only. */
  readonly controlPlane?: ControlPlaneFigures | undefined;
  /** By worker number. */
  readonly revisions: ReadonlyMap<number, number>;
  /** By worker number; only of workers that had any. */
  readonly handshakes: ReadonlyMap<number, HandshakeFigures>;
  readonly certificates: readonly CertificateFigures[];
  /** Records dropped because a ring was full, by worker number. */
  readonly droppedRecords: ReadonlyMap<number, number>;
  readonly brokenRecords: number;
  readonly workerRestarts: number;
  readonly logLines: number;
  readonly droppedLogLines: number;
  readonly gauges: readonly GaugeReading[];
}
