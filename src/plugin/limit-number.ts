// A number in a limit's config that may be written as a text with variables: `"$http_x_quota"`.

import { compileTemplate, type VariableSource } from './variable.ts';

/** The number for one request, or NaN when what the text resolves to is not usable. */
export type LimitNumber = (source: VariableSource) => number;

/** A LimitNumber for a number or a text. Only whole numbers from `minimum` on are usable. */
export function compileLimitNumber(value: number | string, minimum: number): LimitNumber {
  if (typeof value === 'number') return () => value;
  const template = compileTemplate(value);
  return (source) => {
    const text = template(source).trim();
    const number = text === '' ? Number.NaN : Number(text);
    return Number.isSafeInteger(number) && number >= minimum ? number : Number.NaN;
  };
}
