import type { Value } from '../../model/resource.ts';

/** What to name as allowed to a request of that Origin; undefined when it is not allowed. */
export type OriginPolicy = (origin: string | undefined) => string | undefined;

/** A test of a whole Origin; lib's Pattern is one. */
interface OriginPattern {
  test(origin: string): boolean;
}

/** `*` allows all, `**` allows all by name, and anything else is a list with commas. */
export function listedOrigins(text: string): OriginPolicy {
  if (text === '*') return () => '*';
  if (text === '**') return (origin) => origin ?? '*';
  const origins = new Set(text.split(','));
  return (origin) => (origin !== undefined && origins.has(origin) ? origin : undefined);
}

export function matchingOrigins(patterns: readonly OriginPattern[]): OriginPolicy {
  return (origin) =>
    origin !== undefined && patterns.some((pattern) => pattern.test(origin)) ? origin : undefined;
}

/** The lists under these keys of the Plugin's metadata, which may change at any time. */
export function referencedOrigins(keys: readonly string[], metadata: () => Value | undefined): OriginPolicy {
  let compiledFrom: Value | undefined;
  let policies: readonly OriginPolicy[] = [];
  return (origin) => {
    const current = metadata();
    if (current !== compiledFrom) {
      policies = compileReferences(keys, current);
      compiledFrom = current;
    }
    // Always by name, as APISIX does: what a list in the metadata allows may be used with credentials.
    return policies.some((policy) => policy(origin) !== undefined) ? (origin ?? '*') : undefined;
  };
}

function compileReferences(keys: readonly string[], metadata: Value | undefined): OriginPolicy[] {
  const lists = metadata?.allow_origins;
  if (typeof lists !== 'object' || lists === null) return [];
  const byKey = new Map<string, unknown>(Object.entries(lists));
  return keys
    .map((key) => byKey.get(key))
    .filter((text) => typeof text === 'string')
    .map(listedOrigins);
}

/** The first policy that allows the Origin decides. */
export function anyOrigin(policies: readonly OriginPolicy[]): OriginPolicy {
  if (policies.length === 1) return policies[0];
  return (origin) => {
    for (const policy of policies) {
      const allowed = policy(origin);
      if (allowed !== undefined) return allowed;
    }
    return undefined;
  };
}
