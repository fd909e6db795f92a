import { deepCopy, getOwn, isObject, type JsonObject, setOwn } from '../lib/json.ts';
import type { Value } from './resource.ts';

/**
 * Merges `patch` into `value` as APISIX does (RFC 7396 in effect): null deletes a member, an object
 * is merged, anything else, arrays too, replaces what was there.
 */
export function mergePatch(value: Value, patch: Readonly<JsonObject>): JsonObject {
  const result: JsonObject = { ...value };
  for (const name of Object.keys(patch)) {
    const change = patch[name];
    if (change === null) {
      delete result[name];
    } else if (isObject(change)) {
      const before = getOwn(result, name);
      setOwn(result, name, mergePatch(isObject(before) ? before : {}, change));
    } else {
      setOwn(result, name, deepCopy(change));
    }
  }
  return result;
}

/** Replaces what is at `path`; null deletes it. Returns APISIX's error text when the path leads through something that has no members. */
export function patchAt(value: Value, path: string, replacement: unknown): JsonObject | string {
  const steps = path.split('/');
  const name = steps.pop() ?? '';
  const result = deepCopy(value) as JsonObject;
  let place = result;
  for (const [index, step] of steps.entries()) {
    let next = getOwn(place, step);
    if (next === undefined) setOwn(place, step, (next = {}));
    if (!isObject(next)) return `invalid sub-path: /${steps.slice(0, index + 1).join('/')}`;
    place = next;
  }
  if (name === '') return isObject(replacement) ? replacement : `invalid sub-path: /${path}`;
  if (replacement === null) delete place[name];
  else setOwn(place, name, deepCopy(replacement));
  return result;
}
