import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AdminServer, type AdminServerOptions, createAdminServer } from '../admin/admin-server.ts';
import { placeToListen } from '../lib/descriptor.ts';
import type { Stopping } from './obey-signals.ts';
import { type HandedSocket, handedSocket, leave, type Predecessor, socketName } from './predecessor.ts';

/** An Admin API that listens. */
export interface AdminListener {
  /** `host:port`, with the port that was chosen for 0. */
  readonly at: string;
  readonly socket: HandedSocket;
  readonly admin: AdminServer;
  close(stopping: Stopping): Promise<void>;
}

/** Starts the Admin API on an address; rejects with what to do when it can't. */
export function startAdmin(
  address: { host: string; port: number },
  options: AdminServerOptions,
  predecessor: Predecessor,
): Promise<AdminListener> {
  const admin = createAdminServer(options);
  return new Promise((resolve, reject) => {
    admin.server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Error(
          error.code === 'EADDRINUSE'
            ? `the Admin API's address ${address.host}:${address.port} is in use by another program; choose another with --admin-listen`
            : `the Admin API can't listen on ${address.host}:${address.port}: ${error.message}`,
        ),
      ),
    );
    const name = socketName('admin', address);
    admin.server.listen(placeToListen(address, predecessor.take(name)?.fds[0]), () => {
      const { port, address: host, family } = admin.server.address() as AddressInfo;
      const at = `${family === 'IPv6' ? `[${host}]` : host}:${port}`;
      resolve({
        at,
        admin,
        socket: handedSocket(name, admin.server),
        close: (stopping) => closeSoon(admin, stopping),
      });
    });
  });
}

/** What a client of the Admin API gets to end its request when the process is stopped. */
const PATIENCE_MS = 2_000;

/** Answers what is under way; half a request must not keep the process from ending. */
async function closeSoon(admin: AdminServer, { lullMs }: Stopping): Promise<void> {
  if (lullMs > 0) {
    leave(admin.server);
    await sleep(lullMs);
  }
  const timer = setTimeout(() => admin.server.closeAllConnections(), PATIENCE_MS);
  await admin.close();
  clearTimeout(timer);
}
