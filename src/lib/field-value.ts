const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/g;
const BEYOND_ONE_BYTE = /[^\x00-\xff]/;

/**
 * A text made safe to stand as a header field's value, one char per byte. CR, LF, NUL and other
 * control characters become spaces (RFC 9110 5.5). A text with characters beyond U+00FF becomes its
 * UTF-8 bytes: cut to their low byte on the wire, U+010D U+010A would be a line break.
 */
export function fieldValue(text: string): string {
  const bytes = BEYOND_ONE_BYTE.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
  return bytes.search(CONTROL) < 0 ? bytes : bytes.replace(CONTROL, ' ');
}
