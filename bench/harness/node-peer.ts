import path from 'node:path';
import { freePort } from '../../test/support/free-port.ts';
import type { Bench } from './bench.ts';
import type { RunningGateway } from './running-gateway.ts';

/** Starts a proxy of bench/peers/ with the Node that runs Sluice. */
export async function startNodePeer(bench: Bench, name: string): Promise<RunningGateway> {
  const port = await freePort();
  const child = bench.children.start({
    command: process.execPath,
    args: [path.join(import.meta.dirname, '../peers', `${name}.ts`)],
    env: { NODE_ENV: 'production', PORT: String(port), UPSTREAM_PORT: String(bench.upstreamPort) },
    ...(bench.gatewayCpu !== undefined && { cpu: bench.gatewayCpu }),
  });
  return bench.ready(child, port);
}
