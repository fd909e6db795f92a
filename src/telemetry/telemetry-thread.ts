// The one thread that turns records into lines and counts. It is a worker thread's entry; the main
// thread's side is telemetry.ts.
//
// It looks into the rings on a timer, soon again while there is something and ever less often while
// there is nothing, so that neither workers nor an idle gateway pay for being watched. Only a ring
// that is half full wakes it (`RecordReader.sleep`).

import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { type ExchangeRecord, RECORD_FIXED_BYTES } from '../model/exchange-record.ts';
import { RecordReader } from '../state/memory/record-reader.ts';
import { WORKER_GAUGE } from '../state/memory/record-ring.ts';
import { AccessLog } from './access-log.ts';
import type { ConnectionFigures, Figures, HandshakeFigures, ReportedFigures } from './figures.ts';
import { LineSink } from './line-sink.ts';
import { Metrics } from './metrics.ts';
import { MetricsServer } from './metrics-server.ts';
import { exposition } from './prometheus.ts';
import { type Readiness, statusAnswer } from './status-answer.ts';
import type { FromTelemetry, ToTelemetry } from './telemetry-messages.ts';
import { DEFAULT_LOG_CAP_BYTES, type TelemetrySettings } from './telemetry-settings.ts';
import { type RouteWords, telemetryWords, type Word } from './words.ts';

const SHORTEST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 100;
/** Records read from one ring before the others, and the event loop, get their turn. */
const TURN = 256;
/** So long records wait in their rings for a log that is slow; then its lines are dropped, since counting must go on. */
const HOLD_MS = 100;

/** Until the main thread has said how it is. */
const STARTING: Readiness = { ready: false, error: 'starting' };

interface WorkerRing {
  readonly worker: number;
  readonly reader: RecordReader<RouteWords, Word>;
}

class TelemetryThread {
  readonly #settings: TelemetrySettings;
  readonly #metrics: Metrics;
  readonly #sink: LineSink | undefined;
  readonly #log: AccessLog | undefined;
  readonly #rings = new Map<number, WorkerRing>();
  readonly #dropped = new Map<number, number>();
  readonly #gone: ConnectionFigures = noConnections();
  #goneEvictions = 0;
  #goneBroken = 0;
  #restarts = 0;
  #reported: ReportedFigures = {};
  #server: MetricsServer | undefined;
  #pauseMs = SHORTEST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #holdMs = HOLD_MS;
  #pressedSince = Number.POSITIVE_INFINITY;
  readonly #onTimer = () => this.#poll();
  readonly #onWake = () => {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#poll();
  };
  readonly #take = (record: ExchangeRecord<RouteWords, Word>) => {
    this.#metrics.record(record);
    this.#log?.write(record);
  };

  static async start(settings: TelemetrySettings, port: MessagePort): Promise<TelemetryThread> {
    const trouble = (message: string) => post(port, { type: 'trouble', message });
    const log = settings.accessLog;
    const sink =
      log &&
      (await LineSink.open({
        destination: log.destination,
        capBytes: log.capBytes ?? DEFAULT_LOG_CAP_BYTES,
        onTrouble: trouble,
      }));
    const thread = new TelemetryThread(settings, sink);
    await thread.#listen();
    return thread;
  }

  private constructor(settings: TelemetrySettings, sink: LineSink | undefined) {
    this.#settings = settings;
    this.#metrics = new Metrics(settings.prometheus?.maxSeries);
    this.#sink = sink;
    this.#log = sink && new AccessLog(sink);
    const redacted = settings.accessLog?.redactedParameters;
    if (redacted !== undefined) this.#log?.redact(redacted);
    this.#poll();
  }

  get metricsAddress() {
    return this.#server?.listeningAddress;
  }

  addRing(worker: number, ring: SharedArrayBuffer): void {
    if (this.#rings.has(worker)) {
      this.#restarts++;
      this.removeRing(worker);
    }
    this.#rings.set(worker, { worker, reader: new RecordReader(ring, telemetryWords) });
  }

  /** Takes what the worker, which is gone, has left. */
  removeRing(worker: number): void {
    const ring = this.#rings.get(worker);
    if (ring === undefined) return;
    // Bounded by what a ring can hold, should the worker write on.
    let turns = Math.ceil(ring.reader.capacity / RECORD_FIXED_BYTES / TURN);
    while (turns-- > 0 && ring.reader.read(TURN, this.#take) > 0);
    this.#collectDropped(ring);
    const { gauges } = ring.reader;
    this.#gone.accepted += gauges[WORKER_GAUGE.connectionsAccepted];
    this.#gone.handled += gauges[WORKER_GAUGE.connectionsHandled];
    this.#goneEvictions += gauges[WORKER_GAUGE.evictions];
    this.#goneBroken += ring.reader.broken;
    ring.reader.close();
    this.#rings.delete(worker);
  }

  report(figures: ReportedFigures): void {
    this.#reported = { ...this.#reported, ...figures };
  }

  redact(names: readonly string[]): void {
    this.#log?.redact(names);
  }

  async reopen(): Promise<void> {
    await this.#sink?.reopen();
  }

  /** Accepts no more scrapes. */
  leave(): void {
    this.#server?.leave();
  }

  /** Writes out everything and ends. */
  async stop(patienceMs: number): Promise<number> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#server?.close();
    // The rings may hold more lines than the sink: they go at its pace while there is patience.
    const deadline = performance.now() + patienceMs;
    this.#holdMs = patienceMs;
    while (this.#readRings() === 'full') await delay(1);
    for (const worker of [...this.#rings.keys()]) this.removeRing(worker);
    await this.#sink?.close(Math.max(deadline - performance.now(), 0));
    return this.#sink?.dropped ?? 0;
  }

  async #listen(): Promise<void> {
    const { prometheus } = this.#settings;
    if (prometheus === undefined) return;
    const {
      address = '127.0.0.1',
      port = 9091,
      fd,
      path = '/apisix/prometheus/metrics',
      prefix = 'apisix_',
    } = prometheus;
    this.#server = await MetricsServer.listen({
      address,
      port,
      fd,
      path,
      answer: (asked) => statusAnswer(asked, this.#reported.readiness ?? STARTING),
      exposition: () => {
        // What ended before the scrape is in it, but for what a slow log holds back.
        for (let turns = 32; turns > 0 && this.#readRings() === 'full'; turns--);
        return exposition(this.#metrics, this.#figures(), { prefix });
      },
    });
  }

  #poll(): void {
    const busy = this.#readRings();
    if (this.#stopped) return;
    if (busy === 'full') this.#pauseMs = 0;
    else
      this.#pauseMs =
        busy === 'some' ? SHORTEST_PAUSE_MS : Math.min(Math.max(this.#pauseMs, 1) * 2, LONGEST_PAUSE_MS);
    if (this.#pauseMs > 0) for (const { reader } of this.#rings.values()) reader.sleep(this.#onWake);
    this.#timer = setTimeout(this.#onTimer, this.#pauseMs);
  }

  #readRings(): 'none' | 'some' | 'full' {
    const now = performance.now();
    this.#metrics.tick(now);
    let busy: 'none' | 'some' | 'full' = 'none';
    for (const { reader } of this.#rings.values()) {
      if (this.#holds(now)) {
        busy = 'full';
        break;
      }
      const taken = reader.read(TURN, this.#take);
      if (taken === TURN) busy = 'full';
      else if (taken > 0 && busy === 'none') busy = 'some';
    }
    this.#log?.tick(now);
    return busy;
  }

  /** A burst in the rings can be more than the log takes before the system has written any of it. */
  #holds(now: number): boolean {
    if (!this.#sink?.isPressed) {
      this.#pressedSince = Number.POSITIVE_INFINITY;
      return false;
    }
    this.#pressedSince = Math.min(this.#pressedSince, now);
    return now - this.#pressedSince < this.#holdMs;
  }

  #collectDropped({ worker, reader }: WorkerRing): void {
    let dropped = this.#dropped.get(worker) ?? 0;
    reader.collectDropped((status, count, metricsCount) => {
      dropped += count;
      this.#metrics.dropped(status, count, metricsCount);
    });
    this.#dropped.set(worker, dropped);
  }

  #figures(): Figures {
    const connections = { ...this.#gone };
    const revisions = new Map<number, number>();
    const handshakes = new Map<number, HandshakeFigures>();
    let evictions = this.#goneEvictions;
    const redis = { ready: 0, down: 0 };
    let brokenRecords = this.#goneBroken;
    const rings = [];
    for (const ring of this.#rings.values()) {
      this.#collectDropped(ring);
      const { worker, reader } = ring;
      const { gauges } = reader;
      connections.active += gauges[WORKER_GAUGE.connectionsActive];
      connections.accepted += gauges[WORKER_GAUGE.connectionsAccepted];
      connections.handled += gauges[WORKER_GAUGE.connectionsHandled];
      connections.reading += gauges[WORKER_GAUGE.connectionsReading];
      connections.writing += gauges[WORKER_GAUGE.connectionsWriting];
      connections.waiting += gauges[WORKER_GAUGE.connectionsWaiting];
      evictions += gauges[WORKER_GAUGE.evictions];
      redis.ready += gauges[WORKER_GAUGE.redisReady];
      redis.down += gauges[WORKER_GAUGE.redisDown];
      revisions.set(worker, gauges[WORKER_GAUGE.revision]);
      const resumed = gauges[WORKER_GAUGE.handshakesResumed];
      const full = gauges[WORKER_GAUGE.handshakesCompleted] - resumed;
      const failed = gauges[WORKER_GAUGE.handshakesFailed];
      if (full + resumed + failed > 0) handshakes.set(worker, { full, resumed, failed });
      brokenRecords += reader.broken;
      rings.push({
        name: `records-${worker}`,
        capacityBytes: reader.capacity,
        freeBytes: reader.capacity - reader.waiting,
      });
    }
    return {
      hostname: hostname(),
      version: this.#settings.version,
      connections,
      controlPlane: this.#reported.controlPlane,
      sharedMemory: [...rings, ...(this.#reported.sharedMemory ?? [])],
      upstreamStatus: this.#reported.upstreamStatus ?? [],
      circuits: this.#reported.circuits ?? [],
      evictions: { workers: evictions, ...this.#reported.evictions },
      redis,
      revisions,
      handshakes,
      certificates: this.#reported.certificates ?? [],
      droppedRecords: this.#dropped,
      brokenRecords,
      workerRestarts: this.#restarts,
      logLines: this.#sink?.lines ?? 0,
      droppedLogLines: this.#sink?.dropped ?? 0,
      gauges: this.#reported.gauges ?? [],
    };
  }
}

function noConnections(): ConnectionFigures {
  return { active: 0, accepted: 0, handled: 0, reading: 0, writing: 0, waiting: 0 };
}

function post(port: MessagePort, message: FromTelemetry): void {
  port.postMessage(message);
}

async function main(port: MessagePort, settings: TelemetrySettings): Promise<void> {
  let thread: TelemetryThread;
  try {
    thread = await TelemetryThread.start(settings, port);
  } catch (error) {
    post(port, { type: 'failed', message: (error as Error).message });
    process.exit(1);
  }
  port.on('message', async (message: ToTelemetry) => {
    switch (message.type) {
      case 'addRing':
        return thread.addRing(message.worker, message.ring);
      case 'removeRing':
        return thread.removeRing(message.worker);
      case 'report':
        return thread.report(message.figures);
      case 'redact':
        return thread.redact(message.names);
      case 'leave':
        return thread.leave();
      case 'reopen':
        await thread.reopen();
        return post(port, { type: 'reopened' });
      case 'stop': {
        const droppedLines = await thread.stop(message.patienceMs);
        post(port, { type: 'stopped', droppedLines });
        port.close();
      }
    }
  });
  post(port, { type: 'ready', metricsAddress: thread.metricsAddress });
}

if (parentPort !== null) void main(parentPort, workerData as TelemetrySettings);
