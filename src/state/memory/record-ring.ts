// One ring of records per worker, in shared memory: the worker writes, the telemetry thread reads,
// and neither ever waits for the other.
//
//      byte 0        HEADER_BYTES                                             + capacity
//     ┌────────────┬──────────────────────────────────────────────────────────┐
//     │ header     │ free │ record │ record │ record │ half a record … │ free  │
//     └────────────┴──────────────────────────────────────────────────────────┘
//                         ▲ read                     ▲ written
//
// `written` and `read` count bytes modulo 2^32 and only grow. The writer moves `written` after the
// record is complete, by an atomic store that orders the plain stores before it: a worker that dies
// half way leaves nothing that the reader would look at. As a second line each record repeats the
// count at which it begins: one that doesn't is not believed, nor anything behind it.
//
// Words of the configuration travel once. The writer numbers them (`RecordDictionary`) and puts a
// definition into the ring before the first record that uses the number; a number may be defined
// again, and the order of the ring makes the latest definition the right one.

import type { ExchangeEnd, ExchangeEndSink } from '../../model/exchange-end.ts';
import {
  encodeRecord,
  RECORD_KIND,
  type RecordMemory,
  recordLength,
  recordMemory,
} from '../../model/exchange-record.ts';
import { encodeDefinition, RecordDictionary } from './record-dictionary.ts';

/** What a worker tells besides records, read whenever metrics are asked for; the worker stores into `RecordRing.gauges`. */
export const WORKER_GAUGES = [
  'connectionsActive',
  'connectionsAccepted',
  'connectionsHandled',
  'connectionsReading',
  'connectionsWriting',
  'connectionsWaiting',
  'revision',
  'evictions',
  'redisReady',
  'redisDown',
  'handshakesCompleted',
  'handshakesResumed',
  'handshakesFailed',
] as const;
export type WorkerGauge = (typeof WORKER_GAUGES)[number];
/** Index into `RecordRing.gauges`. */
export const WORKER_GAUGE = Object.fromEntries(WORKER_GAUGES.map((name, index) => [name, index])) as Readonly<
  Record<WorkerGauge, number>
>;

/** Statuses 0 to 999 are counted each; anything else under 0. */
export const STATUSES = 1000;
/** Words of the header, as indexes into its Int32Array. What the one side writes lies on other cache lines than what the other does. */
export const RING_WORD = { written: 0, wake: 16, asleep: 17, epoch: 18, detail: 19, read: 32 } as const;
const GAUGES_AT = 256;
const DROPPED_AT = 384;
const DROPPED_METRICS_AT = DROPPED_AT + STATUSES * 4;
const HEADER_BYTES = 8448;

export const DEFAULT_RING_BYTES = 1 << 20;

export interface RecordRingOptions {
  /** Room for records in bytes: a power of two from 32 KiB to 1 GiB. */
  readonly bytes?: number;
  /** False leaves out what the client sent, for when there is no access log. */
  readonly detail?: boolean;
}

/** The memory for one ring, to be given to one worker and to the telemetry thread. */
export function createRecordRing({
  bytes = DEFAULT_RING_BYTES,
  detail = true,
}: RecordRingOptions = {}): SharedArrayBuffer {
  if (bytes < 32768 || bytes > 2 ** 30 || (bytes & (bytes - 1)) !== 0) {
    throw new RangeError('the bytes of a record ring must be a power of two from 32 KiB to 1 GiB');
  }
  const memory = new SharedArrayBuffer(HEADER_BYTES + bytes);
  new Int32Array(memory)[RING_WORD.detail] = detail ? 1 : 0;
  return memory;
}

/** The parts of a ring's memory. */
export function ringViews(memory: SharedArrayBuffer) {
  const capacity = memory.byteLength - HEADER_BYTES;
  return {
    capacity,
    header: new Int32Array(memory, 0, 64),
    gauges: new Float64Array(memory, GAUGES_AT, WORKER_GAUGES.length),
    dropped: new Uint32Array(memory, DROPPED_AT, STATUSES),
    droppedMetrics: new Uint32Array(memory, DROPPED_METRICS_AT, STATUSES),
    records: recordMemory(memory, HEADER_BYTES, capacity),
  };
}

/** The writing end, one per ring. */
export class RecordRing implements ExchangeEndSink {
  /** Figures of this worker by `WORKER_GAUGE`; plain stores, the worker is the only writer. */
  readonly gauges: Float64Array;
  readonly #header: Int32Array;
  readonly #dropped: Uint32Array;
  readonly #droppedMetrics: Uint32Array;
  readonly #memory: RecordMemory;
  readonly #capacity: number;
  readonly #half: number;
  readonly wantsDetail: boolean;
  readonly #dictionary = new RecordDictionary();
  readonly #numbers = { labels: 0, consumer: 0, target: 0, reason: 0 };
  #written: number;
  #read: number;
  #epoch: number;

  constructor(memory: SharedArrayBuffer) {
    const views = ringViews(memory);
    this.#capacity = views.capacity;
    this.#half = views.capacity >>> 1;
    this.#header = views.header;
    this.gauges = views.gauges;
    this.#dropped = views.dropped;
    this.#droppedMetrics = views.droppedMetrics;
    this.#memory = views.records;
    this.#written = Atomics.load(this.#header, RING_WORD.written) >>> 0;
    this.#read = Atomics.load(this.#header, RING_WORD.read) >>> 0;
    this.#epoch = this.#header[RING_WORD.epoch];
    this.wantsDetail = this.#header[RING_WORD.detail] === 1;
  }

  /** Never waits: without room the record is dropped and counted by status. */
  write(end: ExchangeEnd): void {
    const header = this.#header;
    if (header[RING_WORD.epoch] !== this.#epoch) {
      // A new reader knows none of the numbers.
      this.#epoch = header[RING_WORD.epoch];
      this.#dictionary.clear();
    }
    const numbers = this.#numbers;
    const dictionary = this.#dictionary;
    if ((numbers.labels = dictionary.labels(end)) < 0) numbers.labels = this.#defineLabels(end);
    if ((numbers.consumer = dictionary.text(end.consumer)) < 0) numbers.consumer = this.#define(end.consumer);
    if ((numbers.target = dictionary.text(end.target)) < 0) numbers.target = this.#define(end.target);
    if ((numbers.reason = dictionary.text(end.reason)) < 0) numbers.reason = this.#define(end.reason);
    const length = recordLength(end, this.wantsDetail);
    const at = this.#reserve(length);
    if (at < 0 || numbers.labels < 0 || numbers.consumer < 0 || numbers.target < 0 || numbers.reason < 0) {
      this.#drop(end);
      return;
    }
    encodeRecord(this.#memory, at, end, numbers, this.wantsDetail);
    this.#publish(at, length);
  }

  /** The offset of `length` contiguous free bytes, or -1. */
  #reserve(length: number): number {
    const at = this.#written & (this.#capacity - 1);
    const atEnd = this.#capacity - at;
    const needed = length <= atEnd ? length : atEnd + length;
    if (this.#capacity - this.#used() < needed) {
      this.#read = Atomics.load(this.#header, RING_WORD.read) >>> 0;
      if (this.#capacity - this.#used() < needed) {
        this.#wake();
        return -1;
      }
    }
    if (length <= atEnd) return at;
    this.#memory.bytes[at + 8] = RECORD_KIND.padding;
    if (atEnd >= 16) this.#publish(at, atEnd);
    // Eight bytes hold no kind: the reader takes that length for padding.
    else this.#publish(at, 8);
    return 0;
  }

  #publish(at: number, length: number): void {
    const word = at >> 2;
    const { words } = this.#memory;
    words[word] = length;
    words[word + 1] = this.#written;
    this.#written = (this.#written + length) >>> 0;
    Atomics.store(this.#header, RING_WORD.written, this.#written | 0);
    if (this.#used() > this.#half) {
      this.#read = Atomics.load(this.#header, RING_WORD.read) >>> 0;
      if (this.#used() > this.#half) this.#wake();
    }
  }

  #used(): number {
    return (this.#written - this.#read) >>> 0;
  }

  /** The reader polls, so that a worker pays nothing for it; only one that fills up in its sleep is worth a system call. */
  #wake(): void {
    if (Atomics.exchange(this.#header, RING_WORD.asleep, 0) === 0) return;
    Atomics.add(this.#header, RING_WORD.wake, 1);
    Atomics.notify(this.#header, RING_WORD.wake);
  }

  #drop(end: ExchangeEnd): void {
    const status = end.status >= 0 && end.status < STATUSES ? end.status : 0;
    this.#dropped[status]++;
    if (end.metrics) this.#droppedMetrics[status]++;
  }

  #defineLabels(end: ExchangeEnd): number {
    const number = this.#dictionary.addLabels(end);
    const labels = this.#dictionary.labelsAt(number);
    if (this.#writeDefinition(RECORD_KIND.routeLabels, number, labels)) return number;
    this.#dictionary.removeLabels(number);
    return -1;
  }

  #define(text: string): number {
    const number = this.#dictionary.addText(text);
    if (this.#writeDefinition(RECORD_KIND.text, number, [text])) return number;
    this.#dictionary.removeText(number);
    return -1;
  }

  #writeDefinition(kind: number, number: number, texts: readonly string[]): boolean {
    const definition = encodeDefinition(kind, number, texts);
    const at = this.#reserve(definition.length);
    if (at < 0) return false;
    this.#memory.bytes.set(definition, at);
    this.#publish(at, definition.length);
    return true;
  }
}
