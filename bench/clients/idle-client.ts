// Holds many connections open, each of which made one request. Arguments: port, path.

import { HttpSocket } from './http-socket.ts';
import type { FromClient, ToClient } from './messages.ts';

/** Connections opened at the same time. */
const AT_ONCE = 32;

const [port, path] = process.argv.slice(2);
const tell = (message: FromClient): void => void process.send!(message);
const sockets: HttpSocket[] = [];

async function openOne(): Promise<void> {
  const socket = await HttpSocket.connect(Number(port));
  const { status } = await socket.get(path);
  if (status !== 200) throw new Error(`${path} was answered with ${status}`);
  sockets.push(socket);
}

async function open(count: number): Promise<void> {
  while (sockets.length < count) {
    const missing = Math.min(AT_ONCE, count - sockets.length);
    await Promise.all(Array.from({ length: missing }, openOne));
  }
}

process.on('message', (message: ToClient) => {
  if (message.type === 'open') {
    open(message.connections).then(
      () => tell({ type: 'opened' }),
      (error: Error) => tell({ type: 'failed', message: error.message }),
    );
  } else {
    for (const socket of sockets) socket.close();
    process.disconnect?.();
  }
});
