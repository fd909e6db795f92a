import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../harness/bench.ts';
import type { FigureCase } from '../harness/bench-case.ts';
import { ClientProcess } from '../harness/client-process.ts';
import { AdminClient, startManagedSluice, untilServed } from '../harness/managed-sluice.ts';
import { sharedUpstream } from '../harness/many-routes.ts';
import { processTree, residentMegabytes } from '../harness/process-tree.ts';
import type { RunningGateway } from '../harness/running-gateway.ts';

const PATH = '/api/v1/orders/123';
const FEW = 1_000;
const MANY = 10_000;

export const memory: FigureCase = {
  kind: 'figures',
  name: 'memory',
  title: 'Memory',
  about:
    'Resident memory of the whole process tree. Idle: one worker, the Admin API, the store and metrics, after one ' +
    `proxied request. Per connection: what ${MANY} idle client connections that made one request each take more ` +
    `than ${FEW}.`,
  seconds: { full: 26, quick: 22 },

  async measure(bench) {
    const gateway = await startManagedSluice(bench);
    const admin = await AdminClient.connect(gateway);
    const upstream = sharedUpstream(bench.upstreamPort);
    await admin.put('routes/orders', { uri: '/*', upstream });
    admin.close();
    await untilServed(gateway.port, PATH);
    await delay(bench.quick ? 1_000 : 3_000);
    const idle = residentMegabytes(processTree(gateway.child.pid));
    const sluice = await perConnection(bench, gateway);
    const nginx = await perConnection(bench, await bench.startNginx('nginx-proxy.conf'));
    return [
      {
        title: 'idle memory with one worker and the Admin API',
        unit: 'MB',
        value: idle,
        target: 120,
        better: 'lower',
        known: 'Apache APISIX 3.18: 78, and etcd',
      },
      {
        title: 'memory per idle client connection',
        unit: 'KB',
        value: sluice.kilobytes,
        target: 8,
        better: 'lower',
        known: `nginx in the same run: ${nginx.kilobytes.toFixed(1)}`,
        detail: `${sluice.few.toFixed(0)} MB with ${FEW} connections, ${sluice.many.toFixed(0)} MB with ${MANY}`,
      },
    ];
  },
};

/** Measures the gateway and stops it. */
async function perConnection(bench: Bench, { child, port }: RunningGateway) {
  const client = new ClientProcess(bench, 'idle-client', [port, PATH]);
  const megabytesWith = async (connections: number) => {
    await client.open(connections);
    await delay(1_000);
    return residentMegabytes(processTree(child.pid));
  };
  const few = await megabytesWith(FEW);
  const many = await megabytesWith(MANY);
  await client.stop();
  await bench.children.stop(child);
  return { few, many, kilobytes: ((many - few) * 1024) / (MANY - FEW) };
}
