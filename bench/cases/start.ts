import { mkdtempSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../test/support/free-port.ts';
import { HttpSocket } from '../clients/http-socket.ts';
import type { Bench } from '../harness/bench.ts';
import type { FigureCase } from '../harness/bench-case.ts';
import { fileOfRoutes, pathOf } from '../harness/many-routes.ts';
import { maximum, median } from '../harness/median.ts';
import { spawnSluice } from '../harness/sluice.ts';

interface FileShape {
  readonly routes: number;
  readonly format: 'json' | 'yaml';
}

const PATIENCE_MS = 30_000;

export const start: FigureCase = {
  kind: 'figures',
  name: 'start',
  title: 'From start to the first proxied 200',
  about:
    'From the start of the process (`node dist/main.js start --config FILE`, one worker, all cores) to the end of the ' +
    'first answer that comes from the upstream; a client tries every millisecond. The package keeps compiled code ' +
    "between starts in Node's compile cache: warm is a start after another one, cold the very first.",
  seconds: { full: 20, quick: 8 },

  async measure(bench) {
    const ten = { routes: 10, format: 'yaml' } as const;
    const cold = await timeStart(bench, ten, mkdtempSync(path.join(bench.folder, 'cold-')));
    const tenRoutes = await repeat(bench, ten);
    const yaml = await repeat(bench, { routes: 10_000, format: 'yaml' });
    const json = await repeat(bench, { routes: 10_000, format: 'json' });
    const detail = (times: readonly number[]) =>
      `median of ${times.length} warm starts, longest ${maximum(times).toFixed(0)} ms`;
    return [
      {
        title: 'start to first proxied 200, 10 routes',
        unit: 'ms',
        value: median(tenRoutes),
        target: 300,
        better: 'lower',
        known: 'Apache APISIX 3.18: 440',
        detail: `YAML; ${detail(tenRoutes)}; cold ${cold.toFixed(0)} ms`,
      },
      {
        title: 'start to first proxied 200, 10 000 routes in JSON',
        unit: 'ms',
        value: median(json),
        target: 1000,
        better: 'lower',
        known: 'Apache APISIX 3.18: 960',
        detail: detail(json),
      },
      {
        title: 'start to first proxied 200, 10 000 routes in YAML',
        unit: 'ms',
        value: median(yaml),
        target: 1000,
        better: 'lower',
        known: 'Apache APISIX 3.18: 960',
        detail: detail(yaml),
      },
    ];
  },
};

/** After one start that fills the cache. */
async function repeat(bench: Bench, shape: FileShape): Promise<number[]> {
  const times: number[] = [];
  for (let left = bench.quick ? 2 : 6; left > 0; left--) times.push(await timeStart(bench, shape));
  return times.slice(1);
}

/** Milliseconds. */
async function timeStart(
  bench: Bench,
  { routes, format }: FileShape,
  compileCache?: string,
): Promise<number> {
  const port = await freePort();
  const text = fileOfRoutes({ port, upstreamPort: bench.upstreamPort, routes, format });
  const config = bench.writeFile(`routes.${format}`, text);
  const begin = performance.now();
  const child = spawnSluice(bench, {
    args: ['--config', config],
    anyCpu: true,
    ...(compileCache !== undefined && { env: { NODE_COMPILE_CACHE: compileCache } }),
  });
  try {
    for (;;) {
      const status = await tryOnce(port, pathOf(routes - 1));
      if (status === 200) return performance.now() - begin;
      if (status !== undefined) throw new Error(`the first answer has status ${status}`);
      if (child.ended || performance.now() - begin > PATIENCE_MS) {
        throw new Error(`Sluice did not start:\n${child.lastWords}`);
      }
      await delay(1);
    }
  } finally {
    await bench.children.stop(child);
  }
}

/** The status, or undefined while nobody listens. */
async function tryOnce(port: number, requestPath: string): Promise<number | undefined> {
  try {
    return (await HttpSocket.once(port, requestPath)).status;
  } catch {
    return undefined;
  }
}
