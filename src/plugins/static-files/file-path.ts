/**
 * The names that a URL path stands for, from the root down; undefined for a path that stands for no
 * file. `path` is normalised, so that it has no dot segments of its own; escapes are decoded here,
 * once, and may bring none. The last name is empty for a path that ends in a slash.
 */
export function namesOf(path: string, dotfiles: boolean): readonly string[] | undefined {
  const names: string[] = [];
  for (const segment of path.split('/').slice(1)) {
    let name: string;
    try {
      name = decodeURIComponent(segment);
    } catch {
      return undefined;
    }
    // A slash or backslash that was escaped would make two names of one, NUL ends a name for the system.
    if (/[/\\\x00-\x1f\x7f]/.test(name) || name === '.' || name === '..') return undefined;
    // What RFC 8615 puts there is meant to be seen.
    if (!dotfiles && name.startsWith('.') && name !== '.well-known') return undefined;
    names.push(name);
  }
  if (names.slice(0, -1).includes('')) return undefined;
  return names;
}
