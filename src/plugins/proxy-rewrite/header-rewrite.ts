import { fieldValue } from '../../lib/field-value.ts';
import type { RewriteExchange } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { templateParts, type Variable } from '../../plugin/variable.ts';
import type { Captures } from './path-rewrite.ts';

type FieldValues = Readonly<Record<string, string | number>>;

/** The three things to do with header fields. */
export interface HeaderOperations {
  readonly add?: FieldValues;
  readonly set?: FieldValues;
  readonly remove?: readonly string[];
}

/** As configured: operations, or the older form, which sets. */
export type HeadersConfig = HeaderOperations | FieldValues;

export function headerOperations(config: HeadersConfig): HeaderOperations {
  return isOperations(config) ? config : { set: config };
}

/** A header named `set` has a text for its value, so the two forms can't be confused. */
function isOperations(config: HeadersConfig): config is HeaderOperations {
  return [config.add, config.set, config.remove].some((value) => typeof value === 'object');
}

export type HeaderRewrite = (exchange: RewriteExchange, captures: Captures) => void;

type FieldText = (exchange: RewriteExchange, captures: Captures) => string;

export function compileHeaderRewrite(config: HeadersConfig, kit: Kit): HeaderRewrite {
  const { add = {}, set = {}, remove = [] } = headerOperations(config);
  const added = compileFields(add, kit);
  const replaced = compileFields(set, kit);
  const removed = remove.map((name) => name.toLowerCase());
  return (exchange, captures) => {
    const { request } = exchange;
    for (const [name, text] of added) request.addHeader(name, text(exchange, captures));
    for (const [name, text] of replaced) {
      const value = text(exchange, captures);
      if (value === '') request.removeHeader(name.toLowerCase());
      else request.setHeader(name, value);
    }
    for (const name of removed) request.removeHeader(name);
  };
}

function compileFields(fields: FieldValues, kit: Kit): (readonly [name: string, text: FieldText])[] {
  return Object.entries(fields).map(([name, value]) => [name, compileText(String(value), kit)] as const);
}

/** Captures and variables are read in one pass, so that what a client sent is never read as a variable's name. */
function compileText(text: string, kit: Kit): FieldText {
  const parts = templateParts(text).map((part): string | number | Variable => {
    if (typeof part === 'string') return part;
    return /^\d+$/.test(part.name) ? Number(part.name) : kit.variable(part.name);
  });
  if (parts.every((part) => typeof part === 'string')) {
    const value = fieldValue(text);
    return () => value;
  }
  return (exchange, captures) => {
    let value = '';
    for (const part of parts) {
      if (typeof part === 'string') value += part;
      else value += (typeof part === 'number' ? captures[part] : part(exchange)) ?? '';
    }
    return fieldValue(value);
  };
}
