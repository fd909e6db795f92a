// Counts and histograms of ended Exchanges, under APISIX's labels.
//
// Bounded: beyond a number of label sets, further Exchanges are counted in one set whose labels all
// say `other`, so that sums stay right whatever ids, Consumers and Targets come and go. To make room,
// sets that nothing was counted in for a while are forgotten; to Prometheus that is a counter's end.

import { isIPv6 } from 'node:net';
import { CACHE_STATUSES, type ExchangeRecord } from '../model/exchange-record.ts';
import { labelText } from './label-text.ts';
import type { LastSeries, RouteWords, Word } from './words.ts';

/** Upper bounds in milliseconds, as in APISIX. */
export const LATENCY_BUCKETS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000,
] as const;
const BUCKETS = LATENCY_BUCKETS.length;

export const LATENCY_TYPES = ['request', 'upstream', 'apisix'] as const;

/** Counts by bucket (not cumulative; the last one is beyond all bounds) and the sum in milliseconds. */
export interface Histogram {
  readonly counts: Float64Array;
  sum: number;
}

interface Aging {
  /** When it was last counted in, by `Metrics.tick`. */
  touched: number;
  /** No longer in the table: nothing may be counted in it. */
  forgotten: boolean;
}

/** Exchanges by status code, for one set of APISIX's http_status labels. */
export interface StatusSeries extends Aging {
  /** `,route="…",…,node="…"`, UTF-8. */
  readonly labels: Buffer;
  readonly codes: Map<number, number>;
}

/** Times and bytes, for one set of APISIX's http_latency and bandwidth labels. */
export interface TrafficSeries extends Aging {
  /** `,route="…",…,node="…"`, UTF-8. */
  readonly labels: Buffer;
  /** By the order of LATENCY_TYPES. */
  readonly latency: readonly [Histogram, Histogram, Histogram];
  ingressBytes: number;
  egressBytes: number;
}

/** Exchanges of a Route by what a cache did, by the order of CACHE_STATUSES. */
export interface CacheSeries {
  /** `,route="…"`, UTF-8. */
  readonly labels: Buffer;
  readonly counts: Float64Array;
}

export interface Series {
  readonly status: StatusSeries;
  readonly traffic: TrafficSeries;
}

/** Enough for every Route of a large configuration; each costs about 1 KB and 60 lines of exposition. */
export const DEFAULT_MAX_SERIES = 10_000;
/** So many different codes are expected of a label set, on average and generously. */
const CODES_PER_SERIES = 8;
/** A label set is forgotten after so long without an Exchange, and then only when room is needed. */
const IDLE_MS = 600_000;
const SWEEP_EVERY_MS = 10_000;
/** Combinations of Consumer and Target that one Route's cache holds. */
const LARGEST_CACHE = 128;

export class Metrics {
  readonly statuses = new Map<string, StatusSeries>();
  readonly traffics = new Map<string, TrafficSeries>();
  /** Ended connections and sessions by stream route. */
  readonly streams = new Map<string, number>();
  readonly caches = new Map<string, CacheSeries>();
  readonly #maxSeries: number;
  #statusLines = 0;
  #requests = 0;
  #overflowed = 0;
  #now = 0;
  #otherSeries: Series | undefined;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(maxSeries = DEFAULT_MAX_SERIES) {
    this.#maxSeries = maxSeries;
  }

  /** Exchanges ended, whether in per-Route metrics or not. */
  get requests(): number {
    return this.#requests;
  }

  /** Exchanges counted under `other` because there were too many label sets. */
  get overflowed(): number {
    return this.#overflowed;
  }

  /** Tells the time in milliseconds, by which label sets grow old. */
  tick(now: number): void {
    this.#now = now;
  }

  record(record: ExchangeRecord<RouteWords, Word>): void {
    if (record.stream !== '') {
      if (record.metrics) this.#countStream(record);
      return;
    }
    this.#requests++;
    // Whoever has a cache wants to know what it is good for.
    if (record.cacheStatus > 0) this.#cacheOf(record.labels).counts[record.cacheStatus]++;
    if (!record.metrics) return;
    const { status, traffic } = this.#seriesOf(record);
    if (this.#isOther(status) || this.#isOther(traffic)) this.#overflowed++;
    status.touched = this.#now;
    traffic.touched = this.#now;
    this.#count(status, record.status, 1);
    const { durationMs, upstreamMs, bytesIn, bytesOut } = record;
    observe(traffic.latency[0], durationMs);
    if (upstreamMs >= 0) {
      observe(traffic.latency[1], upstreamMs);
      observe(traffic.latency[2], Math.max(durationMs - upstreamMs, 0));
    } else {
      observe(traffic.latency[2], durationMs);
    }
    traffic.ingressBytes += bytesIn;
    traffic.egressBytes += bytesOut;
  }

  #cacheOf(route: RouteWords): CacheSeries {
    if (route.cache !== undefined) return route.cache;
    const isFull = this.caches.size >= this.#maxSeries && !this.caches.has(route.labels.routeId);
    const id = isFull ? 'other' : route.labels.routeId;
    const series = findOrMake(this.caches, id, (name) => ({
      labels: Buffer.from(labelText({ route: name })),
      counts: new Float64Array(CACHE_STATUSES.length),
    }));
    return (route.cache = series);
  }

  /** Counts Exchanges of which a full ring kept the status alone. */
  dropped(status: number, count: number, metricsCount: number): void {
    this.#requests += count;
    if (metricsCount > 0) this.#count(this.#other().status, status, metricsCount);
  }

  /** As APISIX's stream_connection_total: by route alone. */
  #countStream({ labels: { labels }, preferName }: ExchangeRecord<RouteWords, Word>): void {
    const route = (preferName && labels.routeName) || labels.routeId;
    const known = this.streams.get(route);
    if (known !== undefined) this.streams.set(route, known + 1);
    else if (this.streams.size < this.#maxSeries) this.streams.set(route, 1);
    else {
      this.#overflowed++;
      this.streams.set('other', (this.streams.get('other') ?? 0) + 1);
    }
  }

  #count(series: StatusSeries, code: number, count: number): void {
    const { codes } = series;
    const before = codes.get(code);
    if (before !== undefined) {
      codes.set(code, before + count);
      return;
    }
    if (this.#statusLines < this.#maxSeries * CODES_PER_SERIES || this.#isOther(series)) {
      this.#statusLines++;
      codes.set(code, count);
      return;
    }
    this.#overflowed++;
    this.#count(this.#other().status, code, count);
  }

  #seriesOf(record: ExchangeRecord<RouteWords, Word>): Series {
    const { labels: route, consumer, target, preferName } = record;
    const { last } = route;
    if (last !== undefined && fits(last, record)) return last.series;
    let byTarget = route.series.get(consumer);
    const cached = byTarget?.get(target);
    if (cached !== undefined && fits(cached, record)) {
      route.last = cached;
      return cached.series;
    }
    const series = this.#findSeries(route, consumer, target, preferName);
    // Not remembered, so that it gets labels of its own as soon as there is room.
    if (this.#isOther(series.status) || this.#isOther(series.traffic)) return series;
    // A series is found again by its labels, so that forgetting the cache costs time only.
    if (route.series.size >= LARGEST_CACHE) route.series.clear();
    if (byTarget === undefined || byTarget.size >= LARGEST_CACHE) byTarget = new Map();
    route.series.set(consumer, byTarget);
    route.last = { consumer, target, preferName, series };
    byTarget.set(target, route.last);
    return series;
  }

  #findSeries({ labels }: RouteWords, consumer: Word, target: Word, preferName: boolean): Series {
    const route = (preferName && labels.routeName) || labels.routeId;
    const service = (preferName && labels.serviceName) || labels.serviceId;
    return this.#series(
      route,
      labels.matchedUri,
      labels.matchedHost,
      service,
      consumer.text,
      hostOf(target.text),
    );
  }

  #series(route: string, uri: string, host: string, service: string, consumer: string, node: string): Series {
    const trafficLabels = labelText({ route, service, consumer, node });
    const statusLabels = labelText({ route, matched_uri: uri, matched_host: host, service, consumer, node });
    let traffic = this.traffics.get(trafficLabels);
    let status = this.statuses.get(statusLabels);
    if (traffic === undefined && this.#hasRoom(this.traffics)) {
      traffic = findOrMake(this.traffics, trafficLabels, newTraffic);
    }
    if (status === undefined && this.#hasRoom(this.statuses)) {
      status = findOrMake(this.statuses, statusLabels, newStatus);
    }
    if (traffic !== undefined && status !== undefined) return { status, traffic };
    const other = this.#other();
    return { status: status ?? other.status, traffic: traffic ?? other.traffic };
  }

  #hasRoom(table: ReadonlyMap<string, Aging>): boolean {
    if (this.#isFull(table) && this.#now - this.#sweptAt >= SWEEP_EVERY_MS) {
      this.#sweptAt = this.#now;
      this.#forgetIdle(this.traffics);
      for (const status of this.#forgetIdle(this.statuses)) this.#statusLines -= status.codes.size;
    }
    return !this.#isFull(table);
  }

  /** `other` takes no room from the rest. */
  #isFull(table: ReadonlyMap<string, Aging>): boolean {
    return table.size >= this.#maxSeries + (this.#otherSeries === undefined ? 0 : 1);
  }

  #forgetIdle<S extends Aging>(table: Map<string, S>): S[] {
    const forgotten: S[] = [];
    for (const [labels, series] of table) {
      if (this.#now - series.touched < IDLE_MS || this.#isOther(series)) continue;
      series.forgotten = true;
      table.delete(labels);
      forgotten.push(series);
    }
    return forgotten;
  }

  #isOther(series: Aging): boolean {
    return series === this.#otherSeries?.status || series === this.#otherSeries?.traffic;
  }

  #other(): Series {
    return (this.#otherSeries ??= {
      status: findOrMake(
        this.statuses,
        labelText({
          route: 'other',
          matched_uri: 'other',
          matched_host: 'other',
          service: 'other',
          consumer: 'other',
          node: 'other',
        }),
        newStatus,
      ),
      traffic: findOrMake(
        this.traffics,
        labelText({ route: 'other', service: 'other', consumer: 'other', node: 'other' }),
        newTraffic,
      ),
    });
  }
}

function fits(cached: LastSeries, record: ExchangeRecord<RouteWords, Word>): boolean {
  return (
    cached.consumer === record.consumer &&
    cached.target === record.target &&
    cached.preferName === record.preferName &&
    !cached.series.status.forgotten &&
    !cached.series.traffic.forgotten
  );
}

function findOrMake<S>(table: Map<string, S>, labels: string, make: (labels: string) => S): S {
  const found = table.get(labels);
  if (found !== undefined) return found;
  const made = make(labels);
  table.set(labels, made);
  return made;
}

function newStatus(labels: string): StatusSeries {
  return { labels: Buffer.from(labels), codes: new Map(), touched: 0, forgotten: false };
}

function newTraffic(labels: string): TrafficSeries {
  const histogram = (): Histogram => ({ counts: new Float64Array(BUCKETS + 1), sum: 0 });
  return {
    labels: Buffer.from(labels),
    latency: [histogram(), histogram(), histogram()],
    ingressBytes: 0,
    egressBytes: 0,
    touched: 0,
    forgotten: false,
  };
}

function observe(histogram: Histogram, milliseconds: number): void {
  let bucket = 0;
  while (bucket < BUCKETS && milliseconds > LATENCY_BUCKETS[bucket]) bucket++;
  histogram.counts[bucket]++;
  histogram.sum += milliseconds;
}

/** The host of `host:port`, which is what APISIX calls the node in metrics. */
function hostOf(target: string): string {
  if (isIPv6(target)) return target;
  const colon = target.lastIndexOf(':');
  const host = colon < 0 ? target : target.slice(0, colon);
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}
