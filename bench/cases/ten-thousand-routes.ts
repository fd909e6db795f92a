import { freePort } from '../../test/support/free-port.ts';
import type { Bench } from '../harness/bench.ts';
import type { LoadCase } from '../harness/bench-case.ts';
import { fileOfRoutes, pathOf, randomPaths } from '../harness/many-routes.ts';
import { spawnSluice, startSluice } from '../harness/sluice.ts';

const ROUTES = 10_000;
const PATHS = 20_000;

async function startWithRoutes(bench: Bench) {
  const port = await freePort();
  const { upstreamPort } = bench;
  const text = fileOfRoutes({ port, upstreamPort, routes: ROUTES, format: 'json' });
  const child = spawnSluice(bench, { args: ['--config', bench.writeFile('ten-thousand-routes.json', text)] });
  return bench.ready(child, port);
}

const load = { path: pathOf(0), paths: randomPaths(ROUTES, PATHS) };

export const tenThousandRoutes: LoadCase = {
  kind: 'load',
  name: 'ten-thousand-routes',
  title: '10 000 routes',
  about:
    'A fixed pseudo-random list of 20 000 paths, sent to Sluice with one Route that takes them all and to Sluice ' +
    'with 10 000 Routes, of which each path meets one.',
  gateways: {
    'Sluice with one Route': (bench) => startSluice(bench, 'sluice-bare.yaml'),
    'Sluice with 10 000 Routes': startWithRoutes,
  },
  contenders: [
    { name: 'Sluice, one Route', gateway: 'Sluice with one Route', load },
    { name: 'Sluice, 10 000 Routes', gateway: 'Sluice with 10 000 Routes', load },
  ],
  comparisons: [
    {
      title: 'a random path over 10 000 routes',
      subject: 'Sluice, 10 000 Routes',
      against: 'Sluice, one Route',
      target: 1.05,
      stretch: 1,
      known: 'Apache APISIX 3.18: 1.3',
    },
  ],
  profiled: 'Sluice, 10 000 Routes',
};
