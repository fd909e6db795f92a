/** What each byte stands for; 255 for one that stands for nothing. */
const SIX_BITS = new Uint8Array(256).fill(255);
for (const [bits, character] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
].entries())
  SIX_BITS[character.charCodeAt(0)] = bits;
const PADDING = 0x3d;

/**
 * The bytes of a body in Base64, which may be several texts in a row, each padded by itself;
 * undefined when it isn't one. In one pass: a pattern would recurse, and a piece for each text take
 * seconds for a body that is made of nothing but short ones.
 */
export function decodeBase64(body: Uint8Array): Buffer | undefined {
  if (body.length % 4 !== 0) return undefined;
  const bytes = Buffer.allocUnsafe((body.length / 4) * 3);
  let length = 0;
  for (let at = 0; at < body.length; at += 4) {
    const padding = body[at + 3] !== PADDING ? 0 : body[at + 2] !== PADDING ? 1 : 2;
    const third = padding === 2 ? 0 : SIX_BITS[body[at + 2]];
    const fourth = padding > 0 ? 0 : SIX_BITS[body[at + 3]];
    const first = SIX_BITS[body[at]];
    const second = SIX_BITS[body[at + 1]];
    if ((first | second | third | fourth) > 63) return undefined;
    bytes[length] = (first << 2) | (second >> 4);
    bytes[length + 1] = (second << 4) | (third >> 2);
    bytes[length + 2] = (third << 6) | fourth;
    length += 3 - padding;
  }
  return bytes.subarray(0, length);
}
