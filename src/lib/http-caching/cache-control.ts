// Cache-Control in requests and responses (RFC 9111 5.2), as numbers and truths.

/** Seconds beyond which nobody counts (RFC 9111 1.2.2). */
export const MAX_SECONDS = 2_147_483_648;

/** A directive with a number is undefined when it is absent; one that can't be read is 0, which is the safe side. */
export interface CacheDirectives {
  maxAge: number | undefined;
  sMaxAge: number | undefined;
  minFresh: number | undefined;
  /** Infinity for `max-stale` without a number. */
  maxStale: number | undefined;
  staleWhileRevalidate: number | undefined;
  staleIfError: number | undefined;
  noStore: boolean;
  /** Without field names, or with names that can't be read. */
  noCache: boolean;
  /** The fields named by `no-cache="…"`, in lower case. */
  noCacheFields: readonly string[];
  private: boolean;
  public: boolean;
  mustRevalidate: boolean;
  proxyRevalidate: boolean;
  mustUnderstand: boolean;
  onlyIfCached: boolean;
}

const NO_FIELDS: readonly string[] = [];

export function noDirectives(): CacheDirectives {
  return {
    maxAge: undefined,
    sMaxAge: undefined,
    minFresh: undefined,
    maxStale: undefined,
    staleWhileRevalidate: undefined,
    staleIfError: undefined,
    noStore: false,
    noCache: false,
    noCacheFields: NO_FIELDS,
    private: false,
    public: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
    onlyIfCached: false,
  };
}

/** Nothing was said. Shared: not to be changed. */
export const NO_DIRECTIVES: Readonly<CacheDirectives> = Object.freeze(noDirectives());

const DIRECTIVE = /[\t ,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\t ,"]*)))?[^,]*/gy;

/**
 * Reads the values of all Cache-Control fields of a message. Of a directive that is there twice, the
 * first counts (RFC 9111 4.2.1). What is no directive is skipped to the next comma.
 */
export function parseCacheControl(values: readonly string[]): Readonly<CacheDirectives> {
  if (values.length === 0) return NO_DIRECTIVES;
  const directives = noDirectives();
  const text = values.length === 1 ? values[0] : values.join(', ');
  DIRECTIVE.lastIndex = 0;
  for (;;) {
    const at = DIRECTIVE.lastIndex;
    const match = DIRECTIVE.exec(text);
    if (match === null) {
      const comma = text.indexOf(',', at);
      if (comma < 0) return directives;
      DIRECTIVE.lastIndex = comma + 1;
      continue;
    }
    const value = match[2]?.replaceAll(/\\(.)/g, '$1') ?? match[3];
    applyDirective(directives, match[1].toLowerCase(), value);
  }
}

/** Notes one directive; `name` in lower case, unknown ones are ignored. */
export function applyDirective(directives: CacheDirectives, name: string, value: string | undefined): void {
  switch (name) {
    case 'max-age':
      directives.maxAge ??= seconds(value);
      return;
    case 's-maxage':
      directives.sMaxAge ??= seconds(value);
      return;
    case 'min-fresh':
      directives.minFresh ??= seconds(value);
      return;
    case 'max-stale':
      directives.maxStale ??= value === undefined ? Number.POSITIVE_INFINITY : seconds(value);
      return;
    case 'stale-while-revalidate':
      directives.staleWhileRevalidate ??= seconds(value);
      return;
    case 'stale-if-error':
      directives.staleIfError ??= seconds(value);
      return;
    case 'no-store':
      directives.noStore = true;
      return;
    case 'no-cache': {
      const names = value
        ?.toLowerCase()
        .split(',')
        .map((field) => field.trim());
      if (names?.every((field) => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(field)))
        directives.noCacheFields = [...directives.noCacheFields, ...names];
      else directives.noCache = true;
      return;
    }
    case 'private':
      directives.private = true;
      return;
    case 'public':
      directives.public = true;
      return;
    case 'must-revalidate':
      directives.mustRevalidate = true;
      return;
    case 'proxy-revalidate':
      directives.proxyRevalidate = true;
      return;
    case 'must-understand':
      directives.mustUnderstand = true;
      return;
    case 'only-if-cached':
      directives.onlyIfCached = true;
  }
}

function seconds(value: string | undefined): number {
  return value !== undefined && /^\d+$/.test(value) ? Math.min(Number(value), MAX_SECONDS) : 0;
}
