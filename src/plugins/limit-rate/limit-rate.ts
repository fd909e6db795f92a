import { Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import type { Kit } from '../../plugin/kit.ts';
import { compileLimitKey } from '../../plugin/limit-key.ts';
import { PacedBody } from './paced-body.ts';

/** Bodies go out in so many pieces a second, as long as a piece is neither tiny nor huge. */
const PIECES_PER_SECOND = 10;
const SMALLEST_PIECE = 256;
const LARGEST_PIECE = 64 * 1024;
/** Nobody is refused: who comes late waits. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

export const limitRate = definePlugin({
  name: 'limit-rate',
  summary: 'Sends answers no faster than so many bytes a second.',
  priority: 890,
  config: Type.Object(
    {
      rate: Type.Integer({ minimum: 1, description: 'Bytes of the body that are sent per second.' }),
      after: Type.Integer({
        default: 0,
        minimum: 0,
        description: 'Bytes of each body that go out as fast as they can, before the rate holds.',
      }),
      key: Type.Optional(
        Type.String({
          minLength: 1,
          description:
            'By what answers share the rate, for example `consumer_name`. Each answer has the rate for itself when absent.',
        }),
      ),
      key_type: Type.Enum(['var', 'var_combination', 'constant'], {
        default: 'var',
        description:
          'What `key` is: the name of a variable, a text with variables such as `$remote_addr $consumer_name`, or the same for all.',
      }),
    },
    { additionalProperties: false },
  ),
  create(config, kit) {
    const { rate, after } = config;
    const piece = Math.round(Math.min(LARGEST_PIECE, Math.max(SMALLEST_PIECE, rate / PIECES_PER_SECOND)));
    const key = config.key === undefined ? undefined : compileLimitKey(config.key_type, config.key);
    return {
      responseHeaders(exchange) {
        const { response } = exchange;
        const length = response.bodyLength;
        if (length !== undefined && length <= after) return;
        const turn =
          key === undefined
            ? ownTurn(kit, rate)
            : sharedTurn(kit, rate, piece, `${kit.stateKey}|${key(exchange)}`);
        response.filterBody(new PacedBody(piece, after, turn, (milliseconds) => kit.delay(milliseconds)));
      },
    };
  },
});

/** When the next bytes may go, for one body alone: milliseconds from now. */
function ownTurn({ clock }: Kit, rate: number): (bytes: number) => number {
  let due = Number.NEGATIVE_INFINITY;
  return (bytes) => {
    const now = clock.monotonic();
    const turn = Math.max(due, now);
    due = turn + (bytes / rate) * 1000;
    return turn - now;
  };
}

/** The same for all bodies with a key, whichever worker sends them: each asks for the next piece when it has sent one. */
function sharedTurn(
  { limits }: Kit,
  rate: number,
  piece: number,
  key: string,
): (bytes: number) => number | Promise<number> {
  // What is left of the last piece that was asked for: bodies may come in smaller ones.
  let left = 0;
  return (bytes) => {
    if (left >= bytes) {
      left -= bytes;
      return 0;
    }
    left += piece - bytes;
    const verdict = limits.leakyBucket(key, rate / piece, NO_LIMIT);
    if (verdict instanceof Promise) return verdict.then(({ delaySeconds }) => delaySeconds * 1000);
    return verdict.delaySeconds * 1000;
  };
}
