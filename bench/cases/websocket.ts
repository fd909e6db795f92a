import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../test/support/free-port.ts';
import { HttpSocket } from '../clients/http-socket.ts';
import type { Bench } from '../harness/bench.ts';
import type { FigureCase } from '../harness/bench-case.ts';
import { ClientProcess } from '../harness/client-process.ts';
import { median } from '../harness/median.ts';
import { cpuSeconds, processTree } from '../harness/process-tree.ts';
import type { RunningGateway } from '../harness/running-gateway.ts';
import { startSluice } from '../harness/sluice.ts';

const CONNECTIONS = 64;

export const websocket: FigureCase = {
  kind: 'figures',
  name: 'websocket',
  title: 'WebSocket',
  about:
    `CPU of the gateway for a message of 100 bytes there and back, on ${CONNECTIONS} WebSockets, each of which ` +
    'waits for its answer. Sluice and nginx take turns.',
  seconds: { full: 20, quick: 8 },

  async measure(bench) {
    const echoPort = await freePort();
    const echo = bench.children.start({
      command: process.execPath,
      args: [path.join(import.meta.dirname, '../peers/websocket-echo.ts'), String(echoPort)],
      ...(bench.loadCpu !== undefined && { cpu: bench.loadCpu }),
    });
    await bench.ready(echo, echoPort);
    const subjects = [
      await begin(bench, await startSluice(bench, 'sluice-websocket.yaml', { echoPort })),
      await begin(bench, await bench.startNginx('nginx-websocket.conf', { echoPort })),
    ];
    const ratios: number[] = [];
    let last: number[] = [];
    for (let round = 0; round < (bench.quick ? 2 : 5); round++) {
      last = [];
      for (const { client, gateway } of subjects) {
        // They would take the core from each other.
        await client.open(CONNECTIONS);
        await delay(500);
        const tree = processTree(gateway.child.pid);
        await client.count();
        const before = cpuSeconds(tree);
        await delay(1_000);
        const messages = await client.count();
        last.push(((cpuSeconds(tree) - before) / messages) * 1e6);
        await client.close();
      }
      ratios.push(last[0] / last[1]);
    }
    for (const { client, gateway } of subjects) {
      await client.stop();
      await bench.children.stop(gateway.child);
    }
    await bench.children.stop(echo);
    return [
      {
        title: "CPU for a message there and back, against nginx's",
        unit: '×',
        value: median(ratios),
        better: 'lower' as const,
        detail: `${last[0].toFixed(1)} and ${last[1].toFixed(1)} µs in the last round`,
      },
    ];
  },
};

async function begin(bench: Bench, gateway: RunningGateway) {
  await HttpSocket.answers(gateway.port);
  return { gateway, client: new ClientProcess(bench, 'websocket-client', [gateway.port]) };
}
