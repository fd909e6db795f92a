import assert from 'node:assert/strict';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Kind, Resource, Value } from '../../src/model/resource.ts';
import { Snapshot } from '../../src/model/snapshot.ts';
import { completeCircuitBreaker } from '../../src/model/upstream.ts';
import type { Logger } from '../../src/plugin/kit.ts';
import { UpstreamBreaker } from '../../src/proxy/upstream-breaker.ts';
import { HealthMonitor } from '../../src/server/health-monitor.ts';
import { allocateSharedState, SharedState } from '../../src/state/memory/shared-state.ts';
import type { CircuitStatus, UpstreamStatus } from '../../src/telemetry/figures.ts';
import { eventually } from '../support/eventually.ts';

function resource(kind: Kind, id: string, value: Value): Resource {
  return { kind, id, workspace: 'default', createdRevision: 1, modifiedRevision: 1, value };
}

function fixture(t: TestContext, resources: readonly Resource[]) {
  const state = new SharedState(allocateSharedState({ workers: 1, healthSlots: 64 }));
  const snapshot = new Snapshot();
  snapshot.apply({ revision: 1, puts: resources, removals: [] });
  const lines: string[] = [];
  const write = (message: string) => void lines.push(message);
  const log: Logger = { error: write, warn: write, info: write, debug: () => {} };
  let statuses: readonly UpstreamStatus[] = [];
  let circuits: readonly CircuitStatus[] = [];
  const monitor = new HealthMonitor({
    snapshot,
    health: state.health,
    breakers: state.breakers,
    dnsServers: [],
    log,
    onStatus: (all) => {
      statuses = all;
    },
    onCircuits: (all) => {
      circuits = all;
    },
  });
  t.after(() => monitor.close());
  return {
    state,
    monitor,
    lines,
    get circuits() {
      return circuits;
    },
    get statuses() {
      return statuses;
    },
    apply(puts: readonly Resource[], removals: Resource[] = []) {
      const change = { revision: snapshot.revision + 1, puts, removals };
      snapshot.apply(change);
      monitor.apply(change);
    },
  };
}

/** A listener that counts its connections. */
async function startListener(t: TestContext) {
  const found = { connections: 0, port: 0 };
  const server = net.createServer((socket) => {
    found.connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  found.port = (server.address() as AddressInfo).port;
  return found;
}

const SLOW = { slow_start_time_seconds: 60, min_weight_percent: 10 };
const TCP = { type: 'tcp', unhealthy: { tcp_failures: 1 }, healthy: { successes: 1 } };

test('Targets that an Upstream begins with are warm, those that it gets later are not', (t) => {
  const upstream = (nodes: object, more: object = {}) =>
    resource('upstreams', 'u', { nodes, slow_start: { ...SLOW, ...more } });
  const { state, apply } = fixture(t, [upstream({ '127.0.0.1:1': 1 })]);
  const since = (port: number) => state.health.target('upstreams/u', `127.0.0.1:${port}`).warmingSince;
  assert.equal(since(1), 0);
  apply([upstream({ '127.0.0.1:1': 1, '127.0.0.1:2': 1 })]);
  assert.equal(since(1), 0);
  assert.ok(since(2) > 0);
  apply([upstream({ '127.0.0.1:2': 1, '127.0.0.1:3': 1 }, { startup_grace_period_seconds: 3600 })]);
  assert.equal(since(3), 0, 'so soon after the start');
  apply([resource('upstreams', 'other', { nodes: { '127.0.0.1:4': 1 }, slow_start: SLOW })]);
  assert.equal(state.health.target('upstreams/other', '127.0.0.1:4').warmingSince, 0);
});

test('probes what Routes, Services and Upstreams hold, at the port that the checks name', async (t) => {
  const listener = await startListener(t);
  const checks = { active: { ...TCP, port: listener.port } };
  const upstream = { nodes: { '127.0.0.1:1': 1 }, checks };
  const { monitor } = fixture(t, [
    resource('routes', 'r', { uri: '/', upstream }),
    resource('services', 's', { upstream }),
    resource('upstreams', 'u', upstream),
    resource('upstreams', 'unchecked', { nodes: { '127.0.0.1:1': 1 } }),
  ]);
  await eventually('all three are probed', () => listener.connections >= 3);
  assert.deepEqual(
    monitor.view().map(({ name, type }) => [name, type]),
    [
      ['/apisix/routes/r', 'tcp'],
      ['/apisix/services/s', 'tcp'],
      ['/apisix/upstreams/u', 'tcp'],
    ],
  );
});

test('says what changes, and forgets what is no longer checked', async (t) => {
  const upstream = resource('upstreams', 'u', { nodes: { '127.0.0.1:1': 1 }, checks: { active: TCP } });
  const gateway = fixture(t, [upstream]);
  await eventually('it is unhealthy', () => gateway.statuses[0]?.healthy === false);
  assert.deepEqual(gateway.lines, ['Target 127.0.0.1:1 of upstreams/u is unhealthy']);
  assert.equal(gateway.monitor.viewOf('upstreams', 'u')?.nodes[0].status, 'unhealthy');
  gateway.apply([resource('upstreams', 'u', { nodes: { '127.0.0.1:1': 1 } })]);
  assert.deepEqual(gateway.statuses, []);
  assert.equal(gateway.monitor.viewOf('upstreams', 'u'), undefined);
  assert.equal(gateway.state.health.target('upstreams/u', '127.0.0.1:1').unhealthy, false);
  gateway.apply([upstream]);
  await eventually('it is checked again', () => gateway.lines.length === 2);
  gateway.apply([], [upstream]);
  assert.deepEqual(gateway.monitor.view(), []);
});

test('hears of what workers find out', async (t) => {
  const upstream = resource('upstreams', 'u', { nodes: { '127.0.0.1:1': 1 }, checks: { passive: {} } });
  const gateway = fixture(t, [upstream]);
  assert.equal(gateway.statuses[0].healthy, true);
  const once = { success: 1, tcp_failure: 1, http_failure: 1, timeout: 1 };
  gateway.state.health.target('upstreams/u', '127.0.0.1:1').report('http_failure', once);
  await eventually('it is told', () => gateway.statuses[0].healthy === false);
});

test('shows how circuit breakers stand', async (t) => {
  const options = { min_requests: 1, open_seconds: 0.3 };
  const upstream = resource('upstreams', 'u', { nodes: { '127.0.0.1:1': 1 }, circuit_breaker: options });
  const gateway = fixture(t, [upstream]);
  const state = () => gateway.circuits[0].state;
  assert.deepEqual(gateway.monitor.view(), [{ name: '/apisix/upstreams/u', nodes: [], circuit: 'closed' }]);
  const breaker = new UpstreamBreaker(
    'upstreams/u',
    completeCircuitBreaker(options),
    gateway.state.breakers,
    undefined,
  );
  breaker.report(breaker.admit(), 500);
  assert.equal(gateway.monitor.viewOf('upstreams', 'u')?.circuit, 'open');
  await eventually('it is half-open', () => state() === 'half-open');
  breaker.report(breaker.admit(), 200);
  await eventually('it is closed', () => state() === 'closed');
});

test('probes no more Targets of an Upstream at once than configured', async (t) => {
  let open = 0;
  let most = 0;
  let total = 0;
  const server = net.createServer((socket) => {
    most = Math.max(most, ++open);
    total++;
    socket.on('error', () => {});
    setTimeout(() => {
      open--;
      socket.destroy();
    }, 20);
  });
  // Everything in 127.0.0.0/8 is this machine.
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const nodes = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`127.0.0.${i + 1}:1`, 1]));
  fixture(t, [resource('upstreams', 'u', { nodes, checks: { active: { port, concurrency: 2 } } })]);
  await eventually('all were probed', () => total >= 12);
  assert.ok(most <= 2, `${most} at once`);
});
