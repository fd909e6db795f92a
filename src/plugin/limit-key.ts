// By what a limiting Plugin tells requests apart: the `key` and `key_type` of APISIX's limit-*.

import { templateParts, type VariableSource } from './variable.ts';

export type LimitKeyType = 'var' | 'var_combination' | 'constant';
export type LimitKey = (source: VariableSource) => string;

/** A LimitKey for a config. What has no value at all falls back to the client's address. */
export function compileLimitKey(type: LimitKeyType, key: string): LimitKey {
  if (type === 'constant') return () => key;
  if (type === 'var_combination') {
    const combination = compileCombination(key);
    return (source) => combination(source) ?? clientAddress(source);
  }
  const name = key.startsWith('$') ? key.slice(1) : key;
  return (source) => source.variable(name) ?? clientAddress(source);
}

/** A text with `$name` in it; undefined for a request for which none of its variables has a value. */
export function compileCombination(text: string): (source: VariableSource) => string | undefined {
  const parts = templateParts(text);
  return (source) => {
    let result = '';
    let resolved = false;
    for (const part of parts) {
      if (typeof part === 'string') {
        result += part;
        continue;
      }
      const value = source.variable(part.name);
      if (value === undefined) continue;
      resolved = true;
      result += value;
    }
    return resolved ? result : undefined;
  };
}

/** A key of what is to be kept together: the name of a variable, or a text with `$name` in it. */
export function compileStickyKey(text: string): (source: VariableSource) => string | undefined {
  return compileCombination(text.includes('$') ? text : `\${${text}}`);
}

function clientAddress(source: VariableSource): string {
  return source.variable('remote_addr') ?? '';
}
