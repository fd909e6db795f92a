import { Type } from '../lib/schema.ts';

/** A field that holds a Lua program in APISIX. The schema knows it, so that its refusal can say what to use instead. */
export const luaScript = Type.String({ minLength: 10, maxLength: 102_400 });

const ALTERNATIVES: Readonly<Record<string, string>> = {
  filter_func: 'use vars',
  script: 'use plugins',
  script_id: 'use plugins',
};

/** Why a value with a field that needs Lua is refused, or undefined. */
export function refuseLua(value: Readonly<Record<string, unknown>>): string | undefined {
  const field = Object.keys(ALTERNATIVES).find((name) => value[name] !== undefined);
  return field && `${field} is Lua and not supported; ${ALTERNATIVES[field]}`;
}
