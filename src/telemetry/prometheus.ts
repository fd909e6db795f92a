// Prometheus' text format (version 0.0.4) with APISIX's metric names, and our own under `sluice_`.

import { CACHE_STATUSES } from '../model/exchange-record.ts';
import { GAUGES } from '../model/gauge.ts';
import type { Figures } from './figures.ts';
import { putBytes } from './json-bytes.ts';
import { labelText } from './label-text.ts';
import { type Histogram, LATENCY_BUCKETS, LATENCY_TYPES, type Metrics } from './metrics.ts';

export const EXPOSITION_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const CHUNK_BYTES = 262_144;
/** A name, a code or bound, and a number. */
const LINE_ROOM = 256;
const LINES_PER_TRAFFIC = LATENCY_TYPES.length * (LATENCY_BUCKETS.length + 3);

const BUCKET_ENDS = [...LATENCY_BUCKETS, '+Inf'].map((bound) => Buffer.from(`,le="${bound}"} `));
const VALUE_START = Buffer.from('} ');

export interface ExpositionOptions {
  /** In front of APISIX's names. */
  readonly prefix: string;
}

/**
 * The whole exposition, in pieces of some 256 KB so that nobody has to hold it: between two of them
 * counting may go on. Each series is consistent in itself.
 */
export function* exposition(
  metrics: Metrics,
  figures: Figures,
  { prefix }: ExpositionOptions,
): Generator<Buffer> {
  yield Buffer.from(plainMetrics(metrics, figures, prefix));
  yield* statusMetrics(metrics, prefix);
  yield* latencyMetrics(metrics, prefix);
  yield* bandwidthMetrics(metrics, prefix);
  if (metrics.caches.size > 0) yield* cacheMetrics(metrics);
}

function* cacheMetrics(metrics: Metrics): Generator<Buffer> {
  const name = 'sluice_cache_requests_total';
  const starts = CACHE_STATUSES.map((status) => Buffer.from(`${name}{status="${status}"`));
  const chunk = new Chunk();
  chunk.text(head(name, 'counter', 'Requests of a Route by what its cache did'));
  for (const { labels, counts } of metrics.caches.values()) {
    if (chunk.isFull((LINE_ROOM + labels.length) * counts.length)) yield chunk.take();
    for (const [status, count] of counts.entries())
      if (count > 0) chunk.line(starts[status], labels, VALUE_START, count);
  }
  yield chunk.take();
}

function* statusMetrics(metrics: Metrics, prefix: string): Generator<Buffer> {
  const name = `${prefix}http_status`;
  const starts = new Map<number, Buffer>();
  const chunk = new Chunk();
  chunk.text(head(name, 'counter', 'HTTP status codes per service in APISIX'));
  for (const { labels, codes } of metrics.statuses.values()) {
    for (const [code, count] of codes) {
      let start = starts.get(code);
      if (start === undefined) starts.set(code, (start = Buffer.from(`${name}{code="${code}"`)));
      if (chunk.isFull(LINE_ROOM + labels.length)) yield chunk.take();
      chunk.line(start, labels, VALUE_START, count);
    }
  }
  yield chunk.take();
}

function* latencyMetrics(metrics: Metrics, prefix: string): Generator<Buffer> {
  const name = `${prefix}http_latency`;
  const chunk = new Chunk();
  chunk.text(head(name, 'histogram', 'HTTP request latency in milliseconds per service in APISIX'));
  const parts = LATENCY_TYPES.map((type) => ({
    bucket: Buffer.from(`${name}_bucket{type="${type}"`),
    count: Buffer.from(`${name}_count{type="${type}"`),
    sum: Buffer.from(`${name}_sum{type="${type}"`),
  }));
  for (const { labels, latency } of metrics.traffics.values()) {
    if (chunk.isFull((LINE_ROOM + labels.length) * LINES_PER_TRAFFIC)) yield chunk.take();
    for (let type = 0; type < parts.length; type++) putHistogram(chunk, parts[type], labels, latency[type]);
  }
  yield chunk.take();
}

/** Leaves out a type that nothing was observed of, and empty buckets below the first observation, as APISIX does. */
function putHistogram(
  chunk: Chunk,
  parts: { bucket: Buffer; count: Buffer; sum: Buffer },
  labels: Buffer,
  { counts, sum }: Histogram,
): void {
  let total = 0;
  for (let bucket = 0; bucket < counts.length; bucket++) {
    total += counts[bucket];
    if (total > 0) chunk.line(parts.bucket, labels, BUCKET_ENDS[bucket], total);
  }
  if (total === 0) return;
  chunk.line(parts.count, labels, VALUE_START, total);
  chunk.line(parts.sum, labels, VALUE_START, sum);
}

function* bandwidthMetrics(metrics: Metrics, prefix: string): Generator<Buffer> {
  const name = `${prefix}bandwidth`;
  const ingress = Buffer.from(`${name}{type="ingress"`);
  const egress = Buffer.from(`${name}{type="egress"`);
  const chunk = new Chunk();
  chunk.text(head(name, 'counter', 'Total bandwidth in bytes consumed per service in APISIX'));
  for (const { labels, ingressBytes, egressBytes } of metrics.traffics.values()) {
    if (chunk.isFull((LINE_ROOM + labels.length) * 2)) yield chunk.take();
    chunk.line(ingress, labels, VALUE_START, ingressBytes);
    chunk.line(egress, labels, VALUE_START, egressBytes);
  }
  yield chunk.take();
}

function plainMetrics(metrics: Metrics, figures: Figures, prefix: string): string {
  const byName = (values: Iterable<readonly [string, number]>, label: string) =>
    [...values].map(([name, value]) => ({ labels: { [label]: name }, value }));
  const byWorker = (values: ReadonlyMap<number, number>) =>
    byName(
      [...values].map(([worker, value]) => [String(worker), value] as const),
      'worker',
    );
  const { hostname, version, connections, sharedMemory } = figures;
  const { rss } = process.memoryUsage();
  const cpu = process.cpuUsage();
  return [
    metric(
      `${prefix}http_requests_total`,
      'gauge',
      'The total number of client requests since Sluice started',
      [{ labels: {}, value: metrics.requests }],
    ),
    metric(
      `${prefix}stream_connection_total`,
      'counter',
      'Total number of connections handled per stream route',
      byName(metrics.streams, 'route'),
    ),
    metric(
      `${prefix}nginx_http_current_connections`,
      'gauge',
      'Number of HTTP connections',
      byName(Object.entries(connections), 'state'),
    ),
    metric(`${prefix}node_info`, 'gauge', 'Info of this gateway', [
      { labels: { hostname, version }, value: 1 },
    ]),
    metric(
      `${prefix}shared_dict_capacity_bytes`,
      'gauge',
      'The capacity of each stretch of shared memory',
      byName(
        sharedMemory.map(({ name, capacityBytes }) => [name, capacityBytes] as const),
        'name',
      ),
    ),
    metric(
      `${prefix}shared_dict_free_space_bytes`,
      'gauge',
      'The free space of each stretch of shared memory',
      byName(
        sharedMemory.map(({ name, freeBytes }) => [name, freeBytes] as const),
        'name',
      ),
    ),
    metric(
      `${prefix}upstream_status`,
      'gauge',
      'upstream status from health check',
      figures.upstreamStatus.map(({ name, ip, port, healthy }) => ({
        labels: { name, ip, port: String(port) },
        value: healthy ? 1 : 0,
      })),
    ),
    metric(
      'sluice_circuit_state',
      'gauge',
      "State of an Upstream's circuit breaker: 0 closed, 1 half-open, 2 open",
      figures.circuits.map(({ name, state }) => ({
        labels: { name },
        value: state === 'open' ? 2 : state === 'half-open' ? 1 : 0,
      })),
    ),
    metric(
      'sluice_config_revision',
      'gauge',
      'Revision of the configuration that a worker runs',
      byWorker(figures.revisions),
    ),
    metric(
      'sluice_control_plane_connected',
      'gauge',
      'Whether a control plane answers this data plane',
      flag(figures.controlPlane?.isConnected),
    ),
    metric(
      'sluice_config_stale',
      'gauge',
      'Whether this data plane serves what was on its disk, and has not been in touch since',
      flag(figures.controlPlane?.isStale),
    ),
    metric(
      'sluice_tls_handshakes_total',
      'counter',
      'TLS handshakes by result',
      [...figures.handshakes].flatMap(([worker, results]) =>
        Object.entries(results).map(([result, value]) => ({
          labels: { worker: String(worker), result },
          value: value as number,
        })),
      ),
    ),
    metric(
      'sluice_certificate_not_after_seconds',
      'gauge',
      'Unix time at which a certificate ends',
      figures.certificates.map(({ ssl, sni, notAfter }) => ({ labels: { ssl, sni }, value: notAfter })),
    ),
    metric(
      'sluice_records_dropped_total',
      'counter',
      'Exchanges of which only the status was counted, since the ring of their worker was full',
      byWorker(figures.droppedRecords),
    ),
    metric('sluice_records_broken_total', 'counter', 'Times that damaged records were skipped', [
      { labels: {}, value: figures.brokenRecords },
    ]),
    metric('sluice_worker_restarts_total', 'counter', 'Workers replaced', [
      { labels: {}, value: figures.workerRestarts },
    ]),
    metric('sluice_access_log_lines_total', 'counter', 'Lines given to the access log', [
      { labels: {}, value: figures.logLines },
    ]),
    metric('sluice_access_log_lines_dropped_total', 'counter', 'Lines that the access log had no room for', [
      { labels: {}, value: figures.droppedLogLines },
    ]),
    metric(
      'sluice_evictions_total',
      'counter',
      'Entries of shared state thrown out for want of room',
      byName(Object.entries(figures.evictions), 'state'),
    ),
    metric(
      'sluice_redis_connections',
      'gauge',
      'Connections to Redis that workers want, by whether Redis answers on them',
      figures.redis.ready + figures.redis.down === 0 ? [] : byName(Object.entries(figures.redis), 'state'),
    ),
    metric('sluice_metrics_series', 'gauge', 'Label sets that are counted apart', [
      { labels: { metric: 'http_status' }, value: metrics.statuses.size },
      { labels: { metric: 'http_latency' }, value: metrics.traffics.size },
    ]),
    metric(
      'sluice_metrics_overflow_total',
      'counter',
      'Exchanges counted under other labels than their own',
      [{ labels: {}, value: metrics.overflowed }],
    ),
    ...Object.entries(GAUGES).map(([name, help]) =>
      metric(name, 'gauge', help, byRoute(name, figures.gauges)),
    ),
    metric('process_resident_memory_bytes', 'gauge', 'Resident memory of the process', [
      { labels: {}, value: rss },
    ]),
    metric('process_cpu_seconds_total', 'counter', 'CPU time of the process', [
      { labels: {}, value: (cpu.user + cpu.system) / 1e6 },
    ]),
  ].join('');
}

function flag(value: boolean | undefined): readonly Sample[] {
  return value === undefined ? [] : [{ labels: {}, value: value ? 1 : 0 }];
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One sample for each Route; of two Bindings with the same, the newest. */
function byRoute(name: string, gauges: Figures['gauges']): Sample[] {
  const values = new Map<string, number>();
  for (const gauge of gauges) if (gauge.name === name) values.set(gauge.route, gauge.value ?? 0);
  return [...values].map(([route, value]) => ({ labels: { route }, value }));
}

function metric(name: string, type: string, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return '';
  const lines = samples.map(({ labels, value }) => {
    const text = labelText(labels).slice(1);
    return `${name}${text === '' ? '' : `{${text}}`} ${value}\n`;
  });
  return head(name, type, help) + lines.join('');
}

function head(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

/** A piece of the exposition while it grows. */
class Chunk {
  #bytes = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #length = 0;

  isFull(room: number): boolean {
    return this.#length + room > CHUNK_BYTES;
  }

  text(text: string): void {
    this.#length += this.#bytes.write(text, this.#length);
  }

  line(start: Buffer, labels: Buffer, end: Buffer, value: number): void {
    const bytes = this.#bytes;
    let at = putBytes(bytes, this.#length, start);
    at = putBytes(bytes, at, labels);
    at = putBytes(bytes, at, end);
    at += bytes.write(String(value), at, 'latin1');
    bytes[at] = 10;
    this.#length = at + 1;
  }

  /** What there is; a new piece begins. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#length = 0;
    return taken;
  }
}
