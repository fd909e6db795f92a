import {
  decodeRecord,
  type ExchangeRecord,
  emptyRecord,
  RECORD_KIND,
  RECORD_MAX_BYTES,
  type RecordMemory,
} from '../../model/exchange-record.ts';
import { decodeDefinition, RecordDictionary, type RouteLabels } from './record-dictionary.ts';
import { RING_WORD, ringViews, STATUSES } from './record-ring.ts';

/** What a reader makes of the words that records name by number, once per word. */
export interface RecordWords<L, T> {
  labels(labels: RouteLabels): L;
  text(text: string): T;
}

/** Is told how many more records of a status were dropped since the last time, and how many of those had `metrics` set. */
export type TellDropped = (status: number, count: number, metricsCount: number) => void;

/** The reading end, one per ring at a time. */
export class RecordReader<L, T> {
  readonly gauges: Float64Array;
  readonly capacity: number;
  readonly #header: Int32Array;
  readonly #dropped: Uint32Array;
  readonly #droppedMetrics: Uint32Array;
  readonly #droppedSeen = new Uint32Array(STATUSES);
  readonly #droppedMetricsSeen = new Uint32Array(STATUSES);
  readonly #memory: RecordMemory;
  readonly #words: RecordWords<L, T>;
  readonly #labels: L[];
  readonly #texts: T[];
  readonly #record: ExchangeRecord<L, T>;
  readonly #numbers = { labels: 0, consumer: 0, target: 0, reason: 0 };
  #read: number;
  #broken = 0;

  constructor(memory: SharedArrayBuffer, words: RecordWords<L, T>) {
    const views = ringViews(memory);
    this.capacity = views.capacity;
    this.#header = views.header;
    this.gauges = views.gauges;
    this.#dropped = views.dropped;
    this.#droppedMetrics = views.droppedMetrics;
    this.#memory = views.records;
    this.#words = words;
    const noLabels = words.labels(RecordDictionary.noLabels);
    const noText = words.text('');
    this.#labels = [noLabels];
    this.#texts = [noText];
    this.#record = emptyRecord(noLabels, noText);
    this.#read = Atomics.load(this.#header, RING_WORD.read) >>> 0;
    Atomics.store(this.#header, RING_WORD.asleep, 0);
    Atomics.add(this.#header, RING_WORD.epoch, 1);
  }

  /** Times that records were found damaged and everything up to the newest was skipped. */
  get broken(): number {
    return this.#broken;
  }

  /** Bytes written and not yet read. */
  get waiting(): number {
    return ((Atomics.load(this.#header, RING_WORD.written) >>> 0) - this.#read) >>> 0;
  }

  /** Gives up to `limit` records to `take`, oldest first, and returns how many. The record is valid until `take` returns. */
  read(limit: number, take: (record: ExchangeRecord<L, T>) => void): number {
    const { words, bytes } = this.#memory;
    const mask = this.capacity - 1;
    let waiting = this.waiting;
    let taken = 0;
    try {
      while (waiting > 0 && taken < limit) {
        const at = this.#read & mask;
        const length = words[at >> 2];
        if (
          length < 8 ||
          (length & 7) !== 0 ||
          length > waiting ||
          at + length > this.capacity ||
          words[(at >> 2) + 1] !== this.#read
        ) {
          this.#skipBroken(waiting);
          break;
        }
        const kind = length < 16 ? RECORD_KIND.padding : bytes[at + 8];
        if (kind === RECORD_KIND.exchange && (length > RECORD_MAX_BYTES || !this.#decode(at))) {
          this.#skipBroken(waiting);
          break;
        }
        // Before the record is taken, so that one that makes `take` throw is not met again.
        this.#read = (this.#read + length) >>> 0;
        waiting -= length;
        if (kind === RECORD_KIND.exchange) {
          taken++;
          take(this.#record);
        } else if (kind !== RECORD_KIND.padding) {
          this.#learn(kind, at, length);
        }
      }
    } finally {
      Atomics.store(this.#header, RING_WORD.read, this.#read | 0);
    }
    return taken;
  }

  /** Tells what was dropped since the last call. */
  collectDropped(tell: TellDropped): void {
    for (let status = 0; status < STATUSES; status++) {
      const count = (this.#dropped[status] - this.#droppedSeen[status]) >>> 0;
      if (count === 0) continue;
      const metricsCount = (this.#droppedMetrics[status] - this.#droppedMetricsSeen[status]) >>> 0;
      this.#droppedSeen[status] += count;
      this.#droppedMetricsSeen[status] += metricsCount;
      tell(status, count, metricsCount);
    }
  }

  /** Says that the reader will be away: a writer that fills half the ring calls `wake` (once). The promise never keeps the process alive. */
  sleep(wake: () => void): void {
    if (Atomics.exchange(this.#header, RING_WORD.asleep, 1) === 1) return;
    const waited = Atomics.waitAsync(
      this.#header,
      RING_WORD.wake,
      Atomics.load(this.#header, RING_WORD.wake),
    );
    if (waited.async) waited.value.then(wake);
  }

  /** Lets go of the ring; a writer that is still there goes on until it is full. */
  close(): void {
    Atomics.notify(this.#header, RING_WORD.wake);
  }

  #decode(at: number): boolean {
    const record = this.#record;
    const numbers = this.#numbers;
    if (!decodeRecord(this.#memory, at, record, numbers)) return false;
    record.labels = this.#labels[numbers.labels] ?? this.#labels[0];
    record.consumer = this.#texts[numbers.consumer] ?? this.#texts[0];
    record.target = this.#texts[numbers.target] ?? this.#texts[0];
    record.reason = this.#texts[numbers.reason] ?? this.#texts[0];
    return true;
  }

  #learn(kind: number, at: number, length: number): void {
    const definition = decodeDefinition(this.#memory.bytes.subarray(at, at + length));
    if (definition === undefined) return;
    const { number, texts } = definition;
    if (kind === RECORD_KIND.routeLabels) {
      this.#labels[number] = this.#words.labels(RecordDictionary.labelsOf(texts));
    } else if (kind === RECORD_KIND.text) {
      this.#texts[number] = this.#words.text(texts[0] ?? '');
    }
  }

  /** Nothing behind a damaged record can be found again, so reading goes on with the next one written. Definitions may be lost, so the writer is made to repeat them. */
  #skipBroken(waiting: number): void {
    this.#broken++;
    this.#read = (this.#read + waiting) >>> 0;
    this.#labels.length = 1;
    this.#texts.length = 1;
    Atomics.add(this.#header, RING_WORD.epoch, 1);
  }
}
