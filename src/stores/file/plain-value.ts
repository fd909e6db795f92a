import { isObject, type JsonObject } from '../../lib/json.ts';
import { type Environment, substituteText, substituteValue } from './environment.ts';
import type { Path } from './file-error.ts';

/** What is wrong with a value, and where in the file. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
}

/** Deeper than any configuration, and less deep than whoever walks through one can go. */
const MAX_DEPTH = 200;

// Names through which careless code that copies members reaches a prototype.
const REFUSED_NAMES = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * A copy of a value as JSON could have it, with references to environment variables replaced.
 * `report` gets what JSON can't have, names that are refused, and variables that are missing.
 */
export function plainValue(
  value: unknown,
  environment: Environment,
  report: (finding: Finding) => void,
): unknown {
  const ancestors = new Set<unknown>();

  function copy(value: unknown, path: Path): unknown {
    const refuse = (message: string) => report({ path, message });
    if (typeof value === 'string') return substituteValue(value, environment, missingAt(path));
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) refuse(`${value} is not a number that JSON has`);
      return value;
    }
    if (typeof value === 'boolean' || value === null || value === undefined) return value;
    if (typeof value !== 'object') return refuse(`a ${typeof value} can't be in a configuration`);
    if (ancestors.has(value)) return refuse('the value contains itself');
    if (path.length > MAX_DEPTH) return refuse('the values are nested too deeply');
    ancestors.add(value);
    const copied = Array.isArray(value)
      ? value.map((item, index) => copy(item, [...path, index]) ?? null)
      : copyObject(value, path);
    ancestors.delete(value);
    return copied;
  }

  function copyObject(value: object, path: Path): JsonObject | undefined {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (!isObject(value) || (prototype !== Object.prototype && prototype !== null)) {
      const name = value.constructor?.name ?? 'object';
      report({ path, message: `a ${name} can't be in a configuration` });
      return undefined;
    }
    const copied: JsonObject = {};
    for (const written of Object.keys(value)) {
      const name = substituteText(written, environment, missingAt(path));
      const member = [...path, name];
      if (REFUSED_NAMES.has(name)) report({ path: member, message: `the name ${name} is not allowed` });
      else if (Object.hasOwn(copied, name)) report({ path: member, message: `duplicate key ${name}` });
      else {
        const item = copy(value[written], member);
        if (item !== undefined) copied[name] = item;
      }
    }
    return copied;
  }

  function missingAt(path: Path): (name: string) => void {
    return (name) => report({ path, message: `environment variable ${name} is not set` });
  }

  return copy(value, []);
}
