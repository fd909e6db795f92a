/** Something that competes with others of the same pattern, and may refuse what it is offered. */
export interface Ranked<S> {
  readonly id: string;
  readonly priority: number;
  /** Must not search the structure that is asking. */
  accepts(subject: S): boolean;
}

/** Entries of one pattern, best first: higher priority, then the greater id by code unit. */
export class RankedBucket<S, E extends Ranked<S>> {
  /** The pattern of all entries, without the names of its parameters. */
  readonly shape: string;
  readonly entries: E[] = [];

  constructor(shape: string) {
    this.shape = shape;
  }

  /** Adds the entry; nothing happens if it is there already. */
  add(entry: E): void {
    const position = this.#positionOf(entry);
    if (this.entries[position]?.id === entry.id) return;
    this.entries.splice(position, 0, entry);
  }

  /** Takes the entry out; nothing happens if it isn't there. */
  remove(entry: E): void {
    const position = this.#positionOf(entry);
    if (this.entries[position]?.id === entry.id) this.entries.splice(position, 1);
  }

  first(subject: S): E | undefined {
    const entries = this.entries;
    for (let index = 0; index < entries.length; index++) {
      if (entries[index].accepts(subject)) return entries[index];
    }
    return undefined;
  }

  /** The position of the first entry that doesn't come before this one. */
  #positionOf(entry: E): number {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.entries[middle];
      const isBefore =
        other.priority !== entry.priority ? other.priority > entry.priority : other.id > entry.id;
      if (isBefore) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
