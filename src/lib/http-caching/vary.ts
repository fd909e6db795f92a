// Which stored response suits a request (RFC 9111 4.1).

/** The request fields that a Vary names, in lower case and in order; undefined when it names `*`, which suits no other request. */
export function parseVary(values: readonly string[]): readonly string[] | undefined {
  if (values.length === 0) return NO_NAMES;
  const names = new Set<string>();
  for (const value of values) {
    for (const member of value.split(',')) {
      const name = member.trim().toLowerCase();
      if (name === '*') return undefined;
      if (name !== '') names.add(name);
    }
  }
  return [...names].sort();
}

const NO_NAMES: readonly string[] = [];

/** Fields whose members mean the same in any case and order (RFC 9110 12.5). */
const PREFERENCES = new Set(['accept', 'accept-charset', 'accept-encoding', 'accept-language']);

/**
 * A text that is the same for requests that mean the same with this field: lines are joined, spaces
 * around commas don't count, and the preferences of content negotiation neither depend on case nor,
 * as far as their weights say so, on order. Undefined when the field isn't there.
 */
export function normalizeSelecting(name: string, values: readonly string[]): string | undefined {
  if (values.length === 0) return undefined;
  const text = values.length === 1 ? values[0] : values.join(',');
  const preference = PREFERENCES.has(name);
  if (!preference && text.indexOf(',') < 0) return text.trim();
  const members = splitList(text);
  if (!preference) return members.join(',');
  return members
    .map((member) =>
      member
        .toLowerCase()
        .replaceAll(/[\t ]*;[\t ]*/g, ';')
        .replace(/;q=1(?:\.0{0,3})?$/, ''),
    )
    .sort()
    .join(',');
}

/** The members of a comma-separated list, outside quotes. */
function splitList(text: string): string[] {
  const members: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at <= text.length; at++) {
    const character = text[at];
    if (quoted && character === '\\') at++;
    else if (character === '"') quoted = !quoted;
    else if (at >= text.length || (character === ',' && !quoted)) {
      const member = text.slice(start, at).trim();
      if (member !== '') members.push(member);
      start = at + 1;
    }
  }
  return members;
}
