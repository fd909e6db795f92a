/** A stretch of a body; `end` is the first byte after it. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * What a Range field asks of a body of `length` bytes (RFC 9110 14.2): a stretch; `unsatisfiable`,
 * which is a 416; or undefined for what may be ignored, such as another unit, several stretches, or
 * nonsense.
 */
export function resolveRange(field: string, length: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=[\t ]*(\d*)-(\d*)[\t ]*$/i.exec(field);
  if (match === null) return undefined;
  const [, first, last] = match;
  if (first === '') {
    if (last === '') return undefined;
    const size = Math.min(Number(last), length);
    return size === 0 ? 'unsatisfiable' : { start: length - size, end: length };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= length) return 'unsatisfiable';
  return { start, end: last === '' ? length : Math.min(Number(last) + 1, length) };
}
