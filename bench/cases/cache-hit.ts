import type { LoadCase } from '../harness/bench-case.ts';
import { startSluice } from '../harness/sluice.ts';

export const cacheHit: LoadCase = {
  kind: 'load',
  name: 'cache-hit',
  title: 'Answers from the cache',
  about:
    'The same kilobyte of JSON again and again, from the memory of `http-cache` and from `proxy_cache` of nginx, ' +
    'whose files are in the memory of the system. An answer from the cache must be cheaper than a request that is passed on.',
  gateways: {
    nginx: (bench) => bench.startNginx('nginx-cache.conf'),
    sluice: (bench) => startSluice(bench, 'sluice-cache.yaml'),
  },
  contenders: [
    { name: 'nginx, from its cache', gateway: 'nginx', load: { path: '/cached/1' } },
    { name: 'Sluice, from its cache', gateway: 'sluice', load: { path: '/cached/1' } },
    { name: 'Sluice, bare route', gateway: 'sluice', load: { path: '/bare/1' } },
  ],
  comparisons: [
    {
      title: 'an answer from the cache',
      subject: 'Sluice, from its cache',
      against: 'nginx, from its cache',
    },
    {
      title: 'an answer from the cache, against passing it on',
      subject: 'Sluice, from its cache',
      against: 'Sluice, bare route',
      target: 1,
      stretch: 0.6,
    },
  ],
  profiled: 'Sluice, from its cache',
};
