import { isUtf8 } from 'node:buffer';
import { compilePattern, Replacement } from '../../lib/pattern.ts';
import { replacementError } from '../../lib/pattern-check.ts';

export interface FilterConfig {
  readonly regex: string;
  readonly scope: 'once' | 'global';
  readonly replace: string;
  readonly options: string;
}

/** The options of `ngx.re`; those that only tune its engine mean nothing here. */
const TUNING = 'aDdjJoUu';
const MEANING = 'ims';

/** What is wrong with a filter, in APISIX's words where it has any. */
export function filterError(config: FilterConfig): string | undefined {
  const { regex, replace, options } = config;
  const unknown = [...options].find((option) => !(TUNING + MEANING).includes(option));
  const error =
    unknown === undefined
      ? replacementError(source(config), replace)
      : `unknown flag "${unknown}" (flags "${options}")`;
  return error && `regex "${regex}" validation failed: ${error}`;
}

/** The expression with its options written into it. */
function source({ regex, options }: FilterConfig): string {
  const inline = [...MEANING].filter((option) => options.includes(option)).join('');
  const expression = options.includes('a') ? `^(?:${regex})` : regex;
  return inline === '' ? expression : `(?${inline})${expression}`;
}

type TextFilter = (text: string) => string | undefined;

function compileTextFilter(config: FilterConfig): TextFilter {
  const pattern = compilePattern(source(config));
  const replacement = new Replacement(config.replace);
  return config.scope === 'once'
    ? (text) => pattern.replaceFirst(text, replacement)
    : (text) => pattern.replaceAll(text, replacement);
}

/** Runs filters over a body. One that is not UTF-8 is filtered byte by byte, so nothing else of it changes. */
export function compileBodyFilter(configs: readonly FilterConfig[]): (body: Uint8Array) => Uint8Array {
  const filters = configs.map(compileTextFilter);
  return (body) => {
    const encoding = isUtf8(body) ? 'utf8' : 'latin1';
    const before = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString(encoding);
    const after = filters.reduce((text, filter) => filter(text) ?? text, before);
    return after === before ? body : Buffer.from(after, encoding);
  };
}
