import type { Kit } from '../../plugin/kit.ts';
import type { LimitVerdict } from '../../plugin/limits.ts';

/** Writes what one limit tells the client. */
export interface QuotaHeaders {
  /** Appends name, value, name, value… of the fields for a verdict. */
  append(fields: string[], count: number, timeWindow: number, verdict: LimitVerdict): void;
}

interface Options {
  readonly show_limit_quota_header: boolean;
  readonly rate_limit_fields: boolean;
}

interface Names {
  readonly limit: string;
  readonly remaining: string;
  readonly reset: string;
}

/** `prefix` tells the fields of several rules apart: `X-RateLimit-Limit` becomes `X-1-RateLimit-Limit`. */
export function compileQuotaHeaders(
  options: Options,
  prefix: string | undefined,
  kit: Pick<Kit, 'metadata'>,
): QuotaHeaders {
  // The metadata may change under a standing Binding; its object then is another one.
  let metadata = kit.metadata();
  let names = fieldNames(metadata, prefix);
  const policy = JSON.stringify(prefix ?? 'default');

  return {
    append(fields, count, timeWindow, verdict) {
      if (options.show_limit_quota_header) {
        const current = kit.metadata();
        if (current !== metadata) {
          metadata = current;
          names = fieldNames(current, prefix);
        }
        fields.push(names.limit, String(count));
        fields.push(names.remaining, String(verdict.remaining));
        fields.push(names.reset, String(Math.floor(verdict.resetSeconds * 100) / 100));
      }
      if (options.rate_limit_fields) {
        append(fields, 'RateLimit-Policy', `${policy};q=${count};w=${timeWindow}`);
        const reset = Math.ceil(verdict.resetSeconds);
        append(fields, 'RateLimit', `${policy};r=${verdict.remaining};t=${reset}`);
      }
    },
  };
}

/** The standard fields are lists: several rules share one field. */
function append(fields: string[], name: string, value: string): void {
  const at = fields.indexOf(name);
  if (at < 0) fields.push(name, value);
  else fields[at + 1] += `, ${value}`;
}

function fieldNames(
  metadata: Readonly<Record<string, unknown>> | undefined,
  prefix: string | undefined,
): Names {
  const name = (property: string, fallback: string) => {
    const base = typeof metadata?.[property] === 'string' ? metadata[property] : fallback;
    return prefix === undefined ? base : base.replace('RateLimit-', () => `${prefix}-RateLimit-`);
  };
  return {
    limit: name('limit_header', 'X-RateLimit-Limit'),
    remaining: name('remaining_header', 'X-RateLimit-Remaining'),
    reset: name('reset_header', 'X-RateLimit-Reset'),
  };
}
