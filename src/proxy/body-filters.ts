import type { BodyFilter, BodySink } from '../plugin/body-filter.ts';
import type { ExchangeResponse } from './views.ts';

/** What the last filter's bytes go to, and whom a filter's troubles reach. */
export interface FilteredBody {
  onFilteredData(bytes: Uint8Array): void;
  onFilteredEnd(): void;
  /** A filter can't keep up: no more should come until `onFilterReady`. */
  onFilterFull(): void;
  /** Every filter that could not keep up takes more. */
  onFilterReady(): void;
  onFilterFailure(error: Error): void;
}

/** Tells the client which codings filters add to the body (RFC 9110 8.4). */
export function nameCodings(response: ExchangeResponse): void {
  for (const { coding } of response.filters ?? []) {
    if (coding !== undefined) response.edits.add('Content-Encoding', coding);
  }
}

/** The filters of one body, the first added nearest to its source. */
export class BodyFilters {
  readonly #filters: readonly BodyFilter[];
  readonly #links: readonly Link[];
  readonly #body: FilteredBody;
  /** Those that can't keep up. */
  readonly #full = new Set<number>();
  #over = false;

  constructor(filters: readonly BodyFilter[], body: FilteredBody) {
    this.#filters = filters;
    this.#body = body;
    this.#links = filters.map((_, index) => new Link(this, index + 1));
  }

  /** No filter changes how long the body is. */
  get keepLength(): boolean {
    return this.#filters.every((filter) => filter.keepsLength === true);
  }

  write(bytes: Uint8Array): void {
    this.writeTo(0, bytes);
  }

  end(): void {
    this.endTo(0);
  }

  /** Gives the trailers to the filter that wants them; false when none does. */
  takeTrailers(fields: readonly (readonly [name: string, value: string])[]): boolean {
    const taker = this.#filters.find((filter) => filter.trailers !== undefined);
    taker?.trailers?.(fields);
    return taker !== undefined;
  }

  /** The Exchange has ended: filters that still work hear of it, and are not heard any more. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    for (const filter of this.#filters) filter.abort?.();
  }

  writeTo(index: number, bytes: Uint8Array): void {
    if (this.#over) return;
    if (index === this.#filters.length) this.#body.onFilteredData(bytes);
    // What the filters before it have made goes on; it is the source that must wait.
    else if (this.#filters[index].write(bytes, this.#links[index]) === false && !this.#over) {
      this.#full.add(index);
      this.#body.onFilterFull();
    }
  }

  endTo(index: number): void {
    if (this.#over) return;
    if (index < this.#filters.length) {
      this.#filters[index].end(this.#links[index]);
      return;
    }
    this.#over = true;
    this.#body.onFilteredEnd();
  }

  ready(index: number): void {
    this.#full.delete(index);
    if (!this.#over && this.#full.size === 0) this.#body.onFilterReady();
  }

  fail(error: Error): void {
    if (!this.#over) this.#body.onFilterFailure(error);
  }
}

/** What follows one filter. */
class Link implements BodySink {
  readonly #filters: BodyFilters;
  readonly #next: number;
  #ended = false;

  constructor(filters: BodyFilters, next: number) {
    this.#filters = filters;
    this.#next = next;
  }

  write(bytes: Uint8Array): void {
    if (this.#ended || bytes.length === 0) return;
    this.#filters.writeTo(this.#next, bytes);
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#filters.endTo(this.#next);
  }

  resume(): void {
    this.#filters.ready(this.#next - 1);
  }

  fail(error: Error): void {
    this.#filters.fail(error);
  }
}
