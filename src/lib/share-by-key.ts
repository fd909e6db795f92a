/**
 * Chooses one of several for a key, each for a share of all keys as large as its weight says. The
 * same key always gets the same one; when a weight is raised, or others are lowered, keys move to
 * that one only (weighted rendezvous hashing: the highest of `-weight / ln(hash)` wins). Candidates
 * are known by their place in the list. -1 when no weight is above 0.
 */
export function shareByKey(key: string, weights: readonly number[]): number {
  let best = -1;
  let highest = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] <= 0) continue;
    const score = -weights[i] / Math.log(unitHash(`${i}|${key}`));
    if (best >= 0 && score <= highest) continue;
    best = i;
    highest = score;
  }
  return best;
}

/** A number in (0, 1) that a text determines, evenly spread: FNV-1a with murmur3's last mixing. */
export function unitHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) + 0.5) / 2 ** 32;
}
