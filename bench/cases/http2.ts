import type { LoadCase } from '../harness/bench-case.ts';
import { startSluice } from '../harness/sluice.ts';

const load = { connections: 16, streams: 8 };

export const http2: LoadCase = {
  kind: 'load',
  name: 'http2',
  title: 'HTTP/2 from clients',
  about:
    'A bare Route as in the first case, asked in HTTP/2 without TLS: h2load with 16 connections and 8 requests ' +
    'at once on each. The upstream is spoken to in HTTP/1.1 by both.',
  gateways: {
    nginx: (bench) => bench.startNginx('nginx-http2.conf'),
    sluice: (bench) => startSluice(bench, 'sluice-http2.yaml'),
  },
  contenders: [
    { name: 'nginx', gateway: 'nginx', load },
    { name: 'Sluice', gateway: 'sluice', load },
  ],
  comparisons: [{ title: 'HTTP/2', subject: 'Sluice', against: 'nginx', target: 1.8, stretch: 1.5 }],
  profiled: 'Sluice',
};
