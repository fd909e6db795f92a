// HTTP methods as bits, so that a Route's list of them is one number.

import { METHODS } from './method.ts';

const BYTES = METHODS.map((method) => Buffer.from(method, 'latin1'));

/** The bits of some methods. */
export function maskOf(methods: readonly string[]): number {
  let mask = 0;
  for (const method of methods) {
    const index = METHODS.indexOf(method as (typeof METHODS)[number]);
    if (index >= 0) mask |= 1 << index;
  }
  return mask;
}

/** The bit of the method in `bytes[start, end)`; 0 for one that no Route can name. */
export function methodMask(bytes: Uint8Array, start: number, end: number): number {
  for (let index = 0; index < BYTES.length; index++) {
    const method = BYTES[index];
    if (method.length !== end - start) continue;
    let i = 0;
    while (i < method.length && bytes[start + i] === method[i]) i++;
    if (i === method.length) return 1 << index;
  }
  return 0;
}
