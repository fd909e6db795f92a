// The shape of the definitions of https://github.com/http-tests/cache-tests, as far as they are for
// caches between a browser and an origin.

export type HeaderSpec = readonly [name: string, value: string | number, checked?: boolean];

export interface RequestSpec {
  readonly request_method?: string;
  readonly request_headers?: readonly (readonly [string, string | number])[];
  readonly request_body?: string;
  readonly query_arg?: string;
  readonly filename?: string;
  readonly pause_after?: boolean;
  readonly response_status?: readonly [number, string];
  readonly response_headers?: readonly HeaderSpec[];
  /** null: none; absent: the test's token. */
  readonly response_body?: string | null;
  readonly response_pause?: number;
  readonly disconnect?: boolean;
  readonly magic_locations?: boolean;
  readonly magic_ims?: boolean;
  readonly rfc850date?: readonly string[];
  readonly interim_responses?: readonly (readonly [number, (readonly (readonly [string, string])[])?])[];
  readonly expected_interim_responses?: readonly (readonly [
    number,
    (readonly (readonly [string, string])[])?,
  ])[];
  readonly expected_type?: string;
  readonly expected_status?: number | null;
  readonly expected_method?: string;
  readonly expected_request_headers?: readonly (string | readonly [string, string])[];
  readonly expected_request_headers_missing?: readonly (string | readonly [string, string])[];
  readonly expected_response_headers?: readonly (
    | string
    | readonly [string, string | number, (string | number)?]
  )[];
  readonly expected_response_headers_missing?: readonly (string | readonly [string, string])[];
  readonly expected_response_text?: string | null;
  readonly check_body?: boolean;
  /** What fails here says that the test could not be made, not that the cache failed it. */
  readonly setup?: boolean;
  readonly setup_tests?: readonly string[];
}

export interface TestSpec {
  readonly id: string;
  readonly name: string;
  /** `required` when absent. */
  readonly kind?: 'required' | 'optimal' | 'check';
  readonly depends_on?: readonly string[];
  readonly browser_only?: boolean;
  readonly requests: readonly RequestSpec[];
}

export interface SuiteSpec {
  readonly id: string;
  readonly tests: readonly TestSpec[];
}

const DATES = new Set(['date', 'expires', 'last-modified', 'if-modified-since', 'if-unmodified-since']);
const LOCATIONS = new Set(['location', 'content-location']);

/** A field's value: seconds from `now` become dates, and magic locations URLs below `base`. */
export function fieldValue(
  name: string,
  value: string | number,
  request: RequestSpec,
  now: number,
  base: string,
): string {
  const lower = name.toLowerCase();
  if (DATES.has(lower) && typeof value === 'number') {
    const date = new Date(now + value * 1000);
    return request.rfc850date?.includes(lower) ? rfc850(date) : date.toUTCString();
  }
  if (LOCATIONS.has(lower) && request.magic_locations) return value === '' ? base : `${base}/${value}`;
  return String(value);
}

function rfc850(date: Date): string {
  const [, day, month, year, time] = /^\w+, (\d+) (\w+) \d\d(\d\d) (\S+) GMT$/.exec(date.toUTCString())!;
  const weekday = date.toLocaleDateString('en', { weekday: 'long', timeZone: 'UTC' });
  return `${weekday}, ${day}-${month}-${year} ${time} GMT`;
}
