// Content negotiation by Accept-Encoding (RFC 9110 12.5.3).

const ELEMENT = /^[\t ]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[\t ]*(?:;[\t ]*q=([0-9.]*)[\t ]*)?$/i;
const WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/** What a client says about codings. */
export interface AcceptedCodings {
  /** The weight of a coding, from 0 (must not be used) to 1. */
  weight(coding: string): number;
  /** How much it wants the body as it is: a number below all weights where it doesn't say, 0 where it refuses. */
  readonly identity: number;
}

/** Below every weight that can be written. */
const UNSAID = 0.0001;

/** Reads a field's value; undefined, for no field, accepts nothing but the body as it is. What is malformed counts for nothing. */
export function parseAcceptEncoding(value: string | undefined): AcceptedCodings {
  const weights = new Map<string, number>();
  for (const element of value?.split(',') ?? []) {
    const match = ELEMENT.exec(element);
    if (match === null) continue;
    const [, name, weight = '1'] = match;
    const coding = name.toLowerCase();
    // RFC 9110 8.4.1.3: x-gzip means gzip.
    weights.set(coding === 'x-gzip' ? 'gzip' : coding, WEIGHT.test(weight) ? Number(weight) : 0);
  }
  const rest = weights.get('*');
  return {
    weight: (coding) => weights.get(coding) ?? rest ?? 0,
    identity: weights.get('identity') ?? (rest === 0 ? 0 : UNSAID),
  };
}
