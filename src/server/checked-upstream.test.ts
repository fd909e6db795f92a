import assert from 'node:assert/strict';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { eventually } from '../../test/support/eventually.ts';
import { Snapshot } from '../model/snapshot.ts';
import { upstreamOptions } from '../proxy/upstream-options.ts';
import { allocateSharedState, SharedState } from '../state/memory/shared-state.ts';
import { CheckedUpstream } from './checked-upstream.ts';

const INTERVAL = 0.02;
const active = {
  type: 'http',
  timeout: 60,
  healthy: { interval: INTERVAL },
  unhealthy: { interval: INTERVAL, http_failures: 1 },
};
const passive = { type: 'http', unhealthy: { http_failures: 1 } };

/** Takes probes, and answers each when it is told to. */
async function startTarget(t: TestContext) {
  const probes: net.Socket[] = [];
  const server = net.createServer((socket) => void probes.push(socket.on('error', () => {}).resume()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const probe of probes) probe.destroy();
    server.close();
  });
  return { probes, port: (server.address() as AddressInfo).port };
}

const answer = (probe: net.Socket) => probe.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');

function startChecks(t: TestContext, key: string, port: number) {
  const { health } = new SharedState(allocateSharedState({ workers: 1, healthSlots: 64 }));
  const upstream = new CheckedUpstream(key, {
    health,
    addresses: () => ({ resolve: async (host) => [host] }),
    onResult: () => {},
  });
  t.after(() => upstream.close(true));
  const configure = (checks: object) => {
    const value = { nodes: { [`127.0.0.1:${port}`]: 1 }, checks };
    upstream.configure(upstreamOptions(value, key, key, new Snapshot()), false);
  };
  configure({ active });
  return configure;
}

test('asks a Target once at a time, however often its probes were ended and begun again', async (t) => {
  const { probes, port } = await startTarget(t);
  const configure = startChecks(t, 'upstreams/often', port);
  await eventually('a probe is under way', () => probes.length === 1);
  for (let count = 0; count < 4; count++) {
    configure({ passive });
    configure({ active });
  }
  // By the time that another Target has been asked so often, more would have come.
  const other = await startTarget(t);
  startChecks(t, 'upstreams/other', other.port);
  await eventually('another Target is asked ten times', () => {
    for (const probe of other.probes) if (probe.writable) answer(probe);
    return other.probes.length >= 10;
  });
  assert.equal(probes.length, 1);
  configure({ passive });
  answer(probes[0]);
  await eventually('the probe is over', () => probes[0].destroyed);
  configure({ active });
  await eventually('it is asked again', () => probes.length === 2);
});
