import { setTimeout as delay } from 'node:timers/promises';
import { HttpSocket } from '../clients/http-socket.ts';
import type { Sample } from '../clients/messages.ts';
import type { Bench } from '../harness/bench.ts';
import type { Figure, FigureCase } from '../harness/bench-case.ts';
import { ClientProcess } from '../harness/client-process.ts';
import {
  AdminClient,
  type ManagedSluice,
  startManagedSluice,
  untilServed,
} from '../harness/managed-sluice.ts';
import { manyRoutes, pathOf, sharedUpstream } from '../harness/many-routes.ts';
import { maximum, median, quantile } from '../harness/median.ts';

const ROUTES = 10_000;
const CHANGES = 20;
/** Of the paced client. */
const INTERVAL_MS = 2;
/** What a change may still do to requests after it is live. */
const AFTERMATH_MS = 50;
/** Until a change is live. */
const GIVE_UP_MS = 900;

interface Span {
  readonly from: number;
  readonly to: number;
}

interface ChangedRoute extends Span {
  readonly liveAfterMs: number;
  readonly answeredAfterMs: number;
}

export const adminApi: FigureCase = {
  kind: 'figures',
  name: 'admin-api',
  title: 'The Admin API under 10 000 routes',
  about:
    'An empty store is filled with 10 000 Routes one after the other, each durable before it is answered. Then one ' +
    `Route is changed ${CHANGES} times, while a client sends a request every ${INTERVAL_MS} ms to another Route; ` +
    'a stall is the longest that one of these took from the moment of a change to 50 ms after it was live. ' +
    'A changed Route is asked every millisecond until it answers in the new way.',
  seconds: { full: 25, quick: 20 },

  async measure(bench) {
    const gateway = await startManagedSluice(bench);
    try {
      return [...(await fill(bench, gateway)), ...(await change(bench, gateway))];
    } finally {
      await bench.children.stop(gateway.child);
    }
  },
};

/** Writes the Routes, those of the quick run's second part through several connections. */
async function fill({ quick, upstreamPort }: Bench, gateway: ManagedSluice): Promise<Figure[]> {
  const admin = await AdminClient.connect(gateway);
  await admin.put('upstreams/api', sharedUpstream(upstreamPort));
  const routes = manyRoutes(ROUTES);
  const measured = routes.slice(0, quick ? 2_000 : ROUTES);
  const times: number[] = [];
  const start = performance.now();
  for (const { id, ...route } of measured) {
    const sent = performance.now();
    await admin.put(`routes/${id}`, route);
    times.push(performance.now() - sent);
  }
  const seconds = (performance.now() - start) / 1000;
  admin.close();
  const rest = routes.slice(measured.length);
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      const another = await AdminClient.connect(gateway);
      for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
        const { id, ...route } = next;
        await another.put(`routes/${id}`, route);
      }
      another.close();
    }),
  );
  await untilServed(gateway.port, pathOf(0));
  await untilServed(gateway.port, pathOf(ROUTES - 1));
  return [
    {
      title: 'sequential durable Admin API writes on one connection',
      unit: 'writes/s',
      value: measured.length / seconds,
      target: 1000,
      better: 'higher',
      known: 'Apache APISIX 3.18: 353–384',
      detail: `${measured.length} writes, median ${median(times).toFixed(2)} ms, p99 ${quantile(times, 0.99).toFixed(2)} ms, longest ${maximum(times).toFixed(1)} ms`,
    },
  ];
}

async function change(bench: Bench, gateway: ManagedSluice): Promise<Figure[]> {
  const paced = new ClientProcess(bench, 'paced-client', [gateway.port, pathOf(1), INTERVAL_MS]);
  await paced.opened();
  await delay(500);
  const admin = await AdminClient.connect(gateway);
  const changes: ChangedRoute[] = [];
  const quiet: Span[] = [];
  // One change before those that count, as every code path is slow the first time.
  await changeOnce(admin, gateway, 0);
  for (let version = 1; version <= CHANGES; version++) {
    const changed = await changeOnce(admin, gateway, version);
    await delay(AFTERMATH_MS + 50);
    changes.push(changed);
    const from = now();
    await delay(changed.to - changed.from);
    quiet.push({ from, to: now() });
  }
  admin.close();
  const samples = await paced.samples();
  await paced.stop();
  const stalls = changes.map((span) => longest(samples, span));
  const live = changes.map(({ liveAfterMs }) => liveAfterMs);
  const answered = changes.map(({ answeredAfterMs }) => answeredAfterMs);
  const calm = quiet.map((span) => longest(samples, span));
  return [
    {
      title: 'longest stall of a request while one of 10 000 routes is changed',
      unit: 'ms',
      value: maximum(stalls),
      target: 10,
      better: 'lower',
      known: 'Apache APISIX 3.18: 85–287',
      detail: `the longest of ${CHANGES} changes, median ${median(stalls).toFixed(1)} ms; without a change as long ${maximum(calm).toFixed(1)} ms, median ${median(calm).toFixed(1)} ms`,
    },
    {
      title: 'a changed route is live, 10 000 standing',
      unit: 'ms',
      value: maximum(live),
      target: 50,
      better: 'lower',
      known: 'Apache APISIX 3.18: 84–242',
      detail: `the longest of ${CHANGES} changes, median ${median(live).toFixed(1)} ms; the Admin API's answer took ${maximum(answered).toFixed(1)} ms at most`,
    },
  ];
}

/** Changes a Route through the Admin API and asks it until it answers in the new way. */
async function changeOnce(
  admin: AdminClient,
  { port }: ManagedSluice,
  version: number,
): Promise<ChangedRoute> {
  // A connection of its own, as one may only make so many requests.
  const socket = await HttpSocket.connect(port);
  const [route] = manyRoutes(1);
  const from = now();
  let answeredAfterMs = 0;
  const put = admin
    .put('routes/route-0', {
      uri: route.uri,
      upstream_id: route.upstream_id,
      plugins: { 'response-rewrite': { headers: { set: { 'X-Version': `v${version}` } } } },
    })
    .then(() => (answeredAfterMs = now() - from));
  const wanted = `x-version: v${version}\r\n`;
  for (;;) {
    const { head } = await socket.get(pathOf(0));
    if (`${head}\r\n`.toLowerCase().includes(wanted)) break;
    if (now() - from > GIVE_UP_MS) throw new Error('a changed Route does not become live');
    await delay(1);
  }
  const liveAfterMs = now() - from;
  socket.close();
  await put;
  return { from, to: from + liveAfterMs + AFTERMATH_MS, liveAfterMs, answeredAfterMs };
}

/** The longest time that a request took of which some part lies in the span. */
function longest(samples: readonly Sample[], { from, to }: Span): number {
  const met = samples.filter(({ at, milliseconds }) => at < to && at + milliseconds > from);
  if (met.length === 0) throw new Error('the paced client has sent nothing');
  return maximum(met.map(({ milliseconds }) => milliseconds));
}

/** Unix milliseconds, as the clients have them. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
