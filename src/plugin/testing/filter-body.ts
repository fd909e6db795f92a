import type { BodyFilter } from '../body-filter.ts';
import type { TestExchange } from './test-exchange.ts';

/** Small, so that a filter sees its body in pieces. */
const PIECE = 7;

/** Lets the body of a response pass through the filters that a Plugin has added. */
export async function filterBody({ response }: TestExchange): Promise<void> {
  for (const filter of response.filters) {
    response.bytes = await through(filter, response.bytes);
    if (filter.coding !== undefined) response.addHeader('Content-Encoding', filter.coding);
  }
}

function through(filter: BodyFilter, body: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const made: Uint8Array[] = [];
    let at = 0;
    let going = false;
    let waiting = false;
    const next = {
      write: (bytes: Uint8Array) => void made.push(Uint8Array.from(bytes)),
      end: () => resolve(Buffer.concat(made)),
      resume: () => {
        waiting = false;
        if (!going) goOn();
      },
      fail: reject,
    };
    const goOn = (): void => {
      going = true;
      while (at < body.length && !waiting) {
        // Its bytes are valid during the call only: what was kept by reference is wrong afterwards.
        const piece = Uint8Array.from(body.subarray(at, (at += PIECE)));
        waiting = filter.write(piece, next) === false;
        piece.fill(0xdb);
      }
      going = false;
      if (at >= body.length && !waiting) filter.end(next);
    };
    goOn();
  });
}
