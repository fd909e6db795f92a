import path from 'node:path';
import type { Bench } from '../harness/bench.ts';
import type { LoadCase } from '../harness/bench-case.ts';
import { startSluice } from '../harness/sluice.ts';

const load = { headers: ['apikey: bench-key-2'] };
const logFile = (bench: Bench, name: string) => path.join(bench.folder, `${name}.access.log`);

export const accessLog: LoadCase = {
  kind: 'load',
  name: 'access-log',
  title: 'The same with a JSON access log',
  about:
    'Both write a line of JSON with about the same fields for every request into a file. nginx collects ' +
    'lines (`buffer=64k flush=1s`), which is its cheapest way; Sluice writes them in a thread of its own, ' +
    'whose CPU counts.',
  gateways: {
    nginx: (bench) =>
      bench.startNginx('nginx-features.conf', {
        accessLog: `${logFile(bench, 'nginx')} sluice buffer=64k flush=1s`,
      }),
    sluice: (bench) => startSluice(bench, 'sluice-features.yaml', { accessLog: logFile(bench, 'sluice') }),
  },
  contenders: [
    { name: 'nginx with features and log', gateway: 'nginx', load },
    { name: 'Sluice', gateway: 'sluice', load },
  ],
  comparisons: [
    {
      title: 'the same + JSON access log',
      subject: 'Sluice',
      against: 'nginx with features and log',
      target: 1.25,
      stretch: 1,
    },
  ],
  profiled: 'Sluice',
};
