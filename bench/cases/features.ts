import type { LoadCase } from '../harness/bench-case.ts';
import { startSluice } from '../harness/sluice.ts';

const load = { headers: ['apikey: bench-key-2'] };

export const features: LoadCase = {
  kind: 'load',
  name: 'features',
  title: 'key-auth + limit-count + proxy-rewrite',
  about:
    "The README's Route: a key, a limit by Consumer, a rewritten path and a header field. nginx bare does " +
    'none of it; nginx with features does what comes nearest (`map`, `limit_req`, `rewrite`, header fields).',
  gateways: {
    nginx: (bench) => bench.startNginx('nginx-proxy.conf'),
    'nginx with features': (bench) => bench.startNginx('nginx-features.conf', { accessLog: 'off' }),
    sluice: (bench) => startSluice(bench, 'sluice-features.yaml', { accessLog: 'off' }),
  },
  contenders: [
    { name: 'nginx bare', gateway: 'nginx', load },
    { name: 'nginx with features', gateway: 'nginx with features', load },
    { name: 'Sluice', gateway: 'sluice', load },
  ],
  comparisons: [
    {
      title: 'key-auth + limit-count + proxy-rewrite',
      subject: 'Sluice',
      against: 'nginx bare',
      target: 1.45,
      stretch: 1.25,
      known: 'Apache APISIX 3.18: 3.1 (6.3 as shipped)',
    },
    { title: 'the same, nginx with features', subject: 'Sluice', against: 'nginx with features' },
  ],
  profiled: 'Sluice',
};
