import { SHARED_NUMBERS, type SharedNumbers } from '../shared-numbers.ts';

/** SharedNumbers of one thread alone. */
export class PlainNumbers implements SharedNumbers {
  readonly #numbers = new Map<string, Float64Array>();

  update<T>(key: string, change: (numbers: Float64Array) => T): T {
    let numbers = this.#numbers.get(key);
    if (numbers === undefined) this.#numbers.set(key, (numbers = new Float64Array(SHARED_NUMBERS)));
    return change(numbers);
  }
}
