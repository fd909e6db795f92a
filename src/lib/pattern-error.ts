/** A regular expression, or a replacement for its matches, that cannot be used. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

/**
 * What PCRE2 says of a malformed pattern, in the words of ngx_lua, which operators know from APISIX.
 *
 * @param offset where PCRE2 stopped reading; at the end of the pattern it is left out of the text.
 */
export function malformed(reason: string, source: string, offset: number = source.length): PatternError {
  const rest = source.slice(offset);
  const place = rest === '' ? '' : ` at "${rest}"`;
  return new PatternError(`pcre2_compile() failed: ${reason} in "${source}"${place}`);
}

/** A pattern that PCRE2 accepts and we refuse, because no linear-time engine can run it. */
export function unsupported(feature: string, source: string): PatternError {
  return new PatternError(`${feature} is not supported, as patterns must run in linear time, in "${source}"`);
}
