// The numbers under which a worker's records name words of the configuration, and the form in which
// the ring tells a reader what a number means.

import type { ExchangeEnd } from '../../model/exchange-end.ts';

/** What the configuration calls the place where an Exchange went; each empty when there is none. */
export interface RouteLabels {
  readonly routeId: string;
  readonly routeName: string;
  readonly serviceId: string;
  readonly serviceName: string;
  readonly upstreamId: string;
  readonly matchedUri: string;
  readonly matchedHost: string;
}

type LabelTexts = [
  routeId: string,
  routeName: string,
  serviceId: string,
  serviceName: string,
  upstreamId: string,
  matchedUri: string,
  matchedHost: string,
];

/** One set of labels; those of the same Route (several uris, a renamed Service, traffic-split) form a chain. */
interface LabelEntry {
  texts: LabelTexts;
  next: LabelEntry | undefined;
  readonly number: number;
}

const LABEL_SLOTS = 16_384;
const TEXT_SLOTS = 65_536;
const LONGEST_CHAIN = 16;
/** Ids and names of the model are up to 256 characters, a uri up to 4096. */
const LONGEST_TEXT_BYTES = 1024;

/**
 * Numbers for words, bounded: past the last number the oldest are given again, in turn, which is
 * always right since the new meaning is written before its first use. 0 is the empty word.
 */
export class RecordDictionary {
  static readonly noLabels: RouteLabels = RecordDictionary.labelsOf(['', '', '', '', '', '', '']);
  readonly #chains = new Map<string, LabelEntry>();
  readonly #labels: (LabelEntry | undefined)[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #texts: (string | undefined)[] = [];
  #nextLabels = 1;
  #nextText = 1;

  static labelsOf(texts: readonly string[]): RouteLabels {
    const [
      routeId = '',
      routeName = '',
      serviceId = '',
      serviceName = '',
      upstreamId = '',
      matchedUri = '',
      matchedHost = '',
    ] = texts;
    return { routeId, routeName, serviceId, serviceName, upstreamId, matchedUri, matchedHost };
  }

  /** The number of the Exchange's labels, or -1. */
  labels(end: ExchangeEnd): number {
    let entry = this.#chains.get(end.routeId);
    while (entry !== undefined) {
      const { texts } = entry;
      if (
        texts[2] === end.serviceId &&
        texts[4] === end.upstreamId &&
        texts[5] === (end.matchedUri ?? '') &&
        texts[6] === (end.matchedHost ?? '') &&
        texts[1] === end.routeName &&
        texts[3] === end.serviceName
      ) {
        return entry.number;
      }
      entry = entry.next;
    }
    return -1;
  }

  /** The number of a word, or -1. */
  text(text: string): number {
    return text === '' ? 0 : (this.#numbers.get(text) ?? -1);
  }

  addLabels(end: ExchangeEnd): number {
    const number = this.#takeLabelNumber(end.routeId);
    const texts: LabelTexts = [
      end.routeId,
      end.routeName,
      end.serviceId,
      end.serviceName,
      end.upstreamId,
      end.matchedUri ?? '',
      end.matchedHost ?? '',
    ];
    const entry: LabelEntry = { number, texts, next: this.#chains.get(end.routeId) };
    this.#labels[number] = entry;
    this.#chains.set(end.routeId, entry);
    return number;
  }

  addText(text: string): number {
    const number = this.#nextText;
    this.#nextText = number + 1 < TEXT_SLOTS ? number + 1 : 1;
    this.removeText(number);
    this.#texts[number] = text;
    this.#numbers.set(text, number);
    return number;
  }

  labelsAt(number: number): LabelTexts {
    return this.#labels[number]!.texts;
  }

  removeLabels(number: number): void {
    const entry = this.#labels[number];
    if (entry === undefined) return;
    this.#labels[number] = undefined;
    const routeId = entry.texts[0];
    let before = this.#chains.get(routeId);
    if (before === entry) {
      if (entry.next === undefined) this.#chains.delete(routeId);
      else this.#chains.set(routeId, entry.next);
      return;
    }
    while (before !== undefined && before.next !== entry) before = before.next;
    if (before !== undefined) before.next = entry.next;
  }

  removeText(number: number): void {
    const text = this.#texts[number];
    if (text === undefined) return;
    this.#texts[number] = undefined;
    this.#numbers.delete(text);
  }

  clear(): void {
    this.#chains.clear();
    this.#numbers.clear();
    this.#labels.length = 0;
    this.#texts.length = 0;
    this.#nextLabels = 1;
    this.#nextText = 1;
  }

  /** A long chain gives up its oldest, so that a Route renamed for ever neither slows down nor crowds out others. */
  #takeLabelNumber(routeId: string): number {
    let length = 0;
    let last = this.#chains.get(routeId);
    while (last?.next !== undefined) {
      length++;
      last = last.next;
    }
    if (last !== undefined && length + 1 >= LONGEST_CHAIN) {
      this.removeLabels(last.number);
      return last.number;
    }
    const number = this.#nextLabels;
    this.#nextLabels = number + 1 < LABEL_SLOTS ? number + 1 : 1;
    this.removeLabels(number);
    return number;
  }
}

/** A definition as it lies in the ring: 8 bytes for length and sequence, kind, count of texts, u32 number at 12, then u16 length and UTF-8 of each. */
export function encodeDefinition(kind: number, number: number, texts: readonly string[]): Buffer {
  const encoded = texts.map((text) => Buffer.from(text).subarray(0, LONGEST_TEXT_BYTES));
  const length = encoded.reduce((sum, text) => sum + 2 + text.length, 16);
  const definition = Buffer.alloc((length + 7) & ~7);
  definition[8] = kind;
  definition[9] = texts.length;
  definition.writeUInt32LE(number, 12);
  let at = 16;
  for (const text of encoded) {
    definition.writeUInt16LE(text.length, at);
    at += 2 + text.copy(definition, at + 2);
  }
  return definition;
}

/** Undefined for what is no definition. */
export function decodeDefinition(definition: Buffer): { number: number; texts: string[] } | undefined {
  const texts: string[] = [];
  let at = 16;
  for (let count = definition[9]; count > 0; count--) {
    if (at + 2 > definition.length) return undefined;
    const length = definition.readUInt16LE(at);
    texts.push(definition.toString('utf8', at + 2, at + 2 + length));
    at += 2 + length;
  }
  const number = definition.readUInt32LE(12);
  return number < TEXT_SLOTS && at <= definition.length ? { number, texts } : undefined;
}
