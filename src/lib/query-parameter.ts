/** A query (without `?`) without any parameter of that name; the rest stays as it was sent. */
export function removeQueryParameter(query: string, name: string): string {
  if (query === '') return query;
  let result = '';
  for (const piece of query.split('&')) {
    const equals = piece.indexOf('=');
    if (decoded(equals < 0 ? piece : piece.slice(0, equals)) === name) continue;
    result += result === '' ? piece : `&${piece}`;
  }
  return result;
}

function decoded(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
