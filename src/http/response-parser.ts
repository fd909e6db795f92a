import { CR, LF, SP, VALUE } from './characters.ts';
import { COMPLETE, FieldState, more, type ParseResult, parseFields } from './field-parser.ts';
import { type Head, MAX_FIELDS } from './head.ts';
import { Refusal } from './protocol-error.ts';

const State = { Line: 0, Reason: 1, LineLf: 2 } as const;

const VERSION = Buffer.from('HTTP/1.');

/** Parses a response head (RFC 9112 4 and 5) as strictly as a request's. */
export function parseResponse(head: Head): ParseResult {
  const { bytes } = head;
  const end = head.filled;
  let p = head.position;
  for (;;) {
    switch (head.state) {
      case State.Line: {
        // `HTTP/1.1 200` is 12 bytes at a known place: wait until they are there.
        if (end - p < 13) {
          for (let i = p; i < end && i - p < 7; i++)
            if (bytes[i] !== VERSION[i - p]) return Refusal.StatusLine;
          return more(head, p, State.Line);
        }
        for (let i = 0; i < 7; i++) if (bytes[p + i] !== VERSION[i]) return Refusal.StatusLine;
        head.minorVersion = bytes[p + 7] - 48;
        if ((head.minorVersion !== 0 && head.minorVersion !== 1) || bytes[p + 8] !== SP)
          return Refusal.StatusLine;
        const hundreds = bytes[p + 9] - 48;
        const tens = bytes[p + 10] - 48;
        const ones = bytes[p + 11] - 48;
        if (hundreds < 1 || hundreds > 5 || tens < 0 || tens > 9 || ones < 0 || ones > 9)
          return Refusal.StatusLine;
        head.status = hundreds * 100 + tens * 10 + ones;
        head.statusStart = p + 9;
        p += 12;
        if (bytes[p] !== SP && bytes[p] !== CR) return Refusal.StatusLine;
        head.state = State.Reason;
        break;
      }
      case State.Reason: {
        while (p < end && VALUE[bytes[p]] === 1) p++;
        if (p >= end) return more(head, p, State.Reason);
        if (bytes[p] !== CR) return Refusal.StatusLine;
        p++;
        head.state = State.LineLf;
        break;
      }
      case State.LineLf: {
        if (p >= end) return more(head, p, State.LineLf);
        if (bytes[p] !== LF) return Refusal.StatusLine;
        p++;
        head.startLineEnd = head.position = p;
        head.state = FieldState.Start;
        break;
      }
      default: {
        const result = parseFields(head, MAX_FIELDS);
        // Its framing can't be trusted (RFC 9112 6.1).
        if (result === COMPLETE && head.chunked && head.minorVersion === 0) return Refusal.CodingInHttp10;
        return result;
      }
    }
  }
}
