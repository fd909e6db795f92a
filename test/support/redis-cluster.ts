// A Redis cluster of three masters, and a master with a replica and a sentinel.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Scope } from './echo-upstream.ts';
import { eventually } from './eventually.ts';
import { temporaryFolder } from './process.ts';
import { RedisServer } from './redis-server.ts';

const SLOTS = 16_384;
const NODES = 3;
/** A cluster's bus listens this far above a node's port, where it would leave the range of free ports. */
const clusterArgs = (busPort: number): string[] => [
  ...['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000', '--cluster-port', `${busPort}`],
  // What is left of a cluster goes on without the node that is gone.
  ...['--cluster-require-full-coverage', 'no'],
];

/** Three masters that know each other and share the slots evenly. */
export async function startCluster(
  scope: Scope,
  freePort: () => Promise<number>,
): Promise<readonly RedisServer[]> {
  const starting = Array.from({ length: NODES }, async (_, index) => {
    const busPort = await freePort();
    const server = await RedisServer.start(scope, { args: clusterArgs(busPort) });
    const first = Math.floor((SLOTS * index) / NODES);
    const last = Math.floor((SLOTS * (index + 1)) / NODES) - 1;
    await server.command('CLUSTER', 'ADDSLOTSRANGE', `${first}`, `${last}`);
    await server.command('CLUSTER', 'SET-CONFIG-EPOCH', `${index + 1}`);
    return { server, busPort };
  });
  const nodes = await Promise.all(starting);
  for (const { server, busPort } of nodes.slice(1)) {
    await nodes[0].server.command('CLUSTER', 'MEET', '127.0.0.1', `${server.port}`, `${busPort}`);
  }
  for (const { server } of nodes) {
    await eventually('the cluster is whole', async () => {
      const info = String(await server.command('CLUSTER', 'INFO'));
      return info.includes('cluster_state:ok') && info.includes(`cluster_slots_ok:${SLOTS}`);
    });
  }
  return nodes.map(({ server }) => server);
}

export interface Watched {
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly sentinel: RedisServer;
}

/** A master named `counters` and its replica, watched by a sentinel that alone may declare the one dead. */
export async function startWatched(scope: Scope): Promise<Watched> {
  const master = await RedisServer.start(scope, { args: ['--repl-diskless-sync-delay', '0'] });
  const replica = await RedisServer.start(scope, { args: ['--replicaof', '127.0.0.1', `${master.port}`] });
  await eventually('the replica follows', async () =>
    String(await replica.command('INFO', 'replication')).includes('master_link_status:up'),
  );
  const file = path.join(temporaryFolder(scope), 'sentinel.conf');
  writeFileSync(
    file,
    [
      `sentinel monitor counters 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds counters 300',
      'sentinel failover-timeout counters 1000',
      '',
    ].join('\n'),
  );
  const sentinel = await RedisServer.start(scope, { configuration: file, args: ['--sentinel'] });
  await eventually('the sentinel knows the replica', async () =>
    String(await sentinel.command('SENTINEL', 'REPLICAS', 'counters')).includes(`${replica.port}`),
  );
  return { master, replica, sentinel };
}
