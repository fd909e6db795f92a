// Finds the places that a schema marks with a keyword of its own (`secret`, `references`), once per
// schema, so that a value can be visited or rewritten at those places without walking its schema.

import { isObject, type JsonObject, setOwn } from './json.ts';
import type { Schema } from './schema.ts';

/** A property by name, or any property or item besides those named. */
type Step = string | { readonly except: ReadonlySet<string> };

/** A marked place: how to reach it, its name (`rules.*.upstream_id`) and what the mark says. */
export interface Annotation {
  readonly steps: readonly Step[];
  readonly name: string;
  readonly mark: unknown;
}

const caches = new Map<string, WeakMap<object, readonly Annotation[]>>();
const ANY: Step = { except: new Set() };

/** All places in `schema` that carry `keyword` with a value other than false. */
export function annotations(schema: Schema, keyword: string): readonly Annotation[] {
  let cache = caches.get(keyword);
  if (cache === undefined) caches.set(keyword, (cache = new WeakMap()));
  let found = cache.get(schema);
  if (found === undefined) {
    const byName = new Map<string, Annotation>();
    walk(schema, keyword, [], (annotation) => byName.set(annotation.name, annotation));
    cache.set(schema, (found = [...byName.values()]));
  }
  return found;
}

function walk(
  schema: unknown,
  keyword: string,
  steps: readonly Step[],
  found: (annotation: Annotation) => void,
): void {
  if (!isObject(schema)) return;
  const mark = schema[keyword];
  if (mark !== undefined && mark !== false) {
    found({ steps, name: steps.map((step) => (typeof step === 'string' ? step : '*')).join('.'), mark });
    return;
  }
  const below = (child: unknown, step: Step) => walk(child, keyword, [...steps, step], found);
  const properties = isObject(schema.properties) ? schema.properties : {};
  for (const [name, child] of Object.entries(properties)) below(child, name);
  const rest: Step = { except: new Set(Object.keys(properties)) };
  if (isObject(schema.patternProperties)) {
    for (const child of Object.values(schema.patternProperties)) below(child, rest);
  }
  below(schema.additionalProperties, rest);
  below(schema.items, ANY);
  for (const name of ['oneOf', 'anyOf', 'allOf']) {
    const branches = schema[name];
    if (Array.isArray(branches)) for (const branch of branches) walk(branch, keyword, steps, found);
  }
  for (const name of ['then', 'else']) walk(schema[name], keyword, steps, found);
}

/** Calls `visit` with each value at the annotated place, and the way to it. */
export function visitAt(
  value: unknown,
  { steps }: Annotation,
  visit: (found: unknown, path: readonly (string | number)[]) => void,
): void {
  const descend = (at: unknown, depth: number, path: readonly (string | number)[]) => {
    if (depth === steps.length) visit(at, path);
    else
      for (const key of keysAt(at, steps[depth])) descend((at as JsonObject)[key], depth + 1, [...path, key]);
  };
  descend(value, 0, []);
}

/** A copy of `value` in which every string at or below the annotated place is replaced; `value` itself when nothing changed. */
export function replaceTextAt(
  value: unknown,
  { steps }: Annotation,
  replace: (text: string) => string,
): unknown {
  const descend = (at: unknown, depth: number): unknown => {
    const arrived = depth >= steps.length;
    if (arrived && typeof at === 'string') return replace(at);
    let copy: JsonObject | undefined;
    for (const key of keysAt(at, arrived ? ANY : steps[depth])) {
      const before = (at as JsonObject)[key];
      const after = descend(before, depth + 1);
      if (after === before) continue;
      copy ??= (Array.isArray(at) ? [...at] : { ...(at as JsonObject) }) as JsonObject;
      setOwn(copy, String(key), after);
    }
    return copy ?? at;
  };
  return descend(value, 0);
}

function keysAt(value: unknown, step: Step): readonly (string | number)[] {
  if (Array.isArray(value)) return typeof step === 'string' ? [] : [...value.keys()];
  if (!isObject(value)) return [];
  if (typeof step === 'string') return Object.hasOwn(value, step) ? [step] : [];
  return Object.keys(value).filter((name) => !step.except.has(name));
}
