// References to environment variables in a configuration file, as APISIX has them in its own:
// `${{NAME}}` and `${{NAME:=default}}` (apisix/cli/file.lua, resolve_conf_var).

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

const REFERENCE = /\$\{\{\s*(\w+)\s*(?::=(.*?))?\}\}/gs;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * A text with its references replaced. `missing` gets the name of each variable that is not set and
 * has no default.
 */
export function substituteText(
  text: string,
  environment: Environment,
  missing: (name: string) => void,
): string {
  if (!text.includes('${{')) return text;
  return text.replaceAll(REFERENCE, (_, name: string, byDefault?: string) => {
    const value = environment[name] ?? byDefault?.trim();
    if (value === undefined) missing(name);
    return value ?? '';
  });
}

/**
 * The same for a value: what reads as a number, `true` or `false` after replacing becomes one,
 * whether it was quoted or not. Numbers that would lose digits stay texts.
 */
export function substituteValue(
  text: string,
  environment: Environment,
  missing: (name: string) => void,
): string | number | boolean {
  const result = substituteText(text, environment, missing);
  if (result === text) return text;
  if (result === 'true' || result === 'false') return result === 'true';
  if (!NUMBER.test(result)) return result;
  const number = Number(result);
  return Number.isSafeInteger(number) || (!Number.isInteger(number) && result.length < 16) ? number : result;
}
