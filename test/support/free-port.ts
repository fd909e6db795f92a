// A port for a program that is told where to listen, or for an address where nobody does.

import { createServer } from 'node:net';

/**
 * Below the ports that Linux gives to outgoing connections and to listeners that ask for any (32768
 * to 60999), and above those that Sluice takes when it may choose: one of these could be given away
 * before the program listens on it.
 */
const FIRST = 26_000;
/** Processes that run side by side choose from parts of their own. */
const PARTS = 100;
const PART = 60;

const first = FIRST + (process.pid % PARTS) * PART;
let next = 0;

/** A loopback port that nobody listens on. Each call gives another one, as long as there are any. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < PART; attempt++) {
    const port = first + (next++ % PART);
    if (await isFree(port)) return port;
  }
  throw new Error(`all ports from ${first} to ${first + PART - 1} are in use`);
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
