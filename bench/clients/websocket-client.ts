// Sends messages over WebSockets and waits for each to come back. Argument: port.

import { once } from 'node:events';
import WebSocket from 'ws';
import type { FromClient, ToClient } from './messages.ts';

const MESSAGE = Buffer.alloc(100, 'x');

const port = Number(process.argv[2]);
const tell = (message: FromClient): void => void process.send!(message);
let sockets: WebSocket[] = [];
let answers = 0;

async function open(connections: number): Promise<void> {
  for (let i = 0; i < connections; i++) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`, { perMessageDeflate: false });
    await once(socket, 'open');
    socket.on('message', () => {
      answers++;
      socket.send(MESSAGE);
    });
    sockets.push(socket);
  }
  for (const socket of sockets) socket.send(MESSAGE);
}

process.on('message', (message: ToClient) => {
  switch (message.type) {
    case 'open':
      open(message.connections).then(
        () => tell({ type: 'opened' }),
        (error: Error) => tell({ type: 'failed', message: error.message }),
      );
      return;
    case 'count':
      tell({ type: 'counted', count: answers });
      answers = 0;
      return;
    default:
      for (const socket of sockets) socket.terminate();
      sockets = [];
      if (message.type === 'close') tell({ type: 'closed' });
      else process.disconnect?.();
  }
});
