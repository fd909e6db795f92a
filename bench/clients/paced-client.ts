// Sends a request every few milliseconds whatever the answers do, and notes how long each took. A
// process of its own, so that whoever changes the configuration meanwhile doesn't disturb its clock.
// Arguments: port, path, milliseconds between requests.

import { HttpSocket } from './http-socket.ts';
import type { FromClient, Sample, ToClient } from './messages.ts';

/** So many answers may be missing before a request must wait for its turn. */
const CONNECTIONS = 64;

const [port, path, interval] = process.argv.slice(2);
const tell = (message: FromClient): void => void process.send!(message);
const samples: Sample[] = [];
const free = await Promise.all(Array.from({ length: CONNECTIONS }, () => HttpSocket.connect(Number(port))));

/** When the requests that found no free connection were due. */
const waiting: number[] = [];

/** Sends a request; its time counts from `since`. */
async function request(socket: HttpSocket, since: number): Promise<void> {
  const { status } = await socket.get(path);
  if (status !== 200) throw new Error(`${path} was answered with ${status}`);
  samples.push({ at: performance.timeOrigin + since, milliseconds: performance.now() - since });
  const due = waiting.shift();
  if (due === undefined) free.push(socket);
  else request(socket, due).catch(fail);
}

let next = performance.now();
const timer = setInterval(() => {
  // What this process itself missed is left out; it is not the gateway's delay.
  if (performance.now() - next > 5 * Number(interval)) next = performance.now();
  for (; next <= performance.now(); next += Number(interval)) {
    // In turn, as a connection may only make so many requests.
    const socket = free.shift();
    if (socket === undefined) waiting.push(performance.now());
    else request(socket, performance.now()).catch(fail);
  }
}, 1);

function fail(error: Error): void {
  clearInterval(timer);
  tell({ type: 'failed', message: error.message });
}

process.on('message', (message: ToClient) => {
  if (message.type !== 'finish') return;
  clearInterval(timer);
  tell({ type: 'samples', samples });
  process.disconnect?.();
  for (const socket of free) socket.close();
});
tell({ type: 'opened' });
