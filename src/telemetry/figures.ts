// What the exposition tells besides Exchanges.

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

/** Told by the main thread whenever it likes; the newest are shown. */
export interface ReportedFigures {
  /** Entries thrown out for want of room, by the name of the state (`counters`, `cache`…). */
  readonly evictions?: Readonly<Record<string, number>>;
  readonly sharedMemory?: readonly SharedMemoryFigures[];
}

export interface Figures {
  readonly hostname: string;
  readonly version: string;
  readonly connections: ConnectionFigures;
  readonly sharedMemory: readonly SharedMemoryFigures[];
  readonly evictions: Readonly<Record<string, number>>;
  /** Connections to Redis that workers want: those that stand and are answered, and the others. */
  readonly redis: { readonly ready: number; readonly down: number };
  /** By worker number. */
  readonly revisions: ReadonlyMap<number, number>;
  /** Records dropped because a ring was full, by worker number. */
  readonly droppedRecords: ReadonlyMap<number, number>;
  readonly brokenRecords: number;
  readonly workerRestarts: number;
  readonly logLines: number;
  readonly droppedLogLines: number;
}
