import { fieldValue } from '../../lib/field-value.ts';
import type { ResponseExchange } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';

type FieldValues = Readonly<Record<string, string | number>>;

interface HeaderOperations {
  /** Each as `Name: value`. */
  readonly add?: readonly string[];
  readonly set?: FieldValues;
  readonly remove?: readonly string[];
}

/** As configured: operations, or the older form, which sets. */
export type HeadersConfig = HeaderOperations | FieldValues;

const ADDITION = /^([^:\s]+)\s*:\s*(.+)$/s;

/** The names and values to add, to set, and the names to remove. */
export interface HeaderEdits {
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

export function headerEdits(config: HeadersConfig): HeaderEdits {
  const { add = [], set = {}, remove = [] } = isOperations(config) ? config : { set: config };
  return {
    add: add.map((text) => {
      const match = ADDITION.exec(text);
      return match === null ? ['', ''] : [match[1], match[2]];
    }),
    set: Object.entries(set).map(([name, value]) => [name, String(value)]),
    remove,
  };
}

function isOperations(config: HeadersConfig): config is HeaderOperations {
  return [config.add, config.set, config.remove].some((value) => typeof value === 'object');
}

/** Applies the edits of a config in APISIX's order: add, set, remove. */
export function compileHeaderEdits(config: HeadersConfig, kit: Kit): (exchange: ResponseExchange) => void {
  const edits = headerEdits(config);
  const compile = ([name, value]: readonly [string, string]) => [name, kit.template(value)] as const;
  const added = edits.add.map(compile);
  const replaced = edits.set.map(compile);
  const removed = edits.remove.map((name) => name.toLowerCase());
  return (exchange) => {
    const { response } = exchange;
    for (const [name, value] of added) response.addHeader(name, fieldValue(value(exchange)));
    for (const [name, value] of replaced) {
      const text = fieldValue(value(exchange));
      if (text === '') response.removeHeader(name.toLowerCase());
      else response.setHeader(name, text);
    }
    for (const name of removed) response.removeHeader(name);
  };
}
