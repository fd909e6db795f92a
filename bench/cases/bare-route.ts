import type { LoadCase } from '../harness/bench-case.ts';
import { startNodePeer } from '../harness/node-peer.ts';
import { startSluice } from '../harness/sluice.ts';

export const bareRoute: LoadCase = {
  kind: 'load',
  name: 'bare-route',
  title: 'A bare route',
  about:
    'One Route with nothing but an Upstream, against nginx with `proxy_pass`, and against two proxies ' +
    'that are written in JavaScript as well. None of them logs.',
  gateways: {
    nginx: (bench) => bench.startNginx('nginx-proxy.conf'),
    sluice: (bench) => startSluice(bench, 'sluice-bare.yaml'),
    'http-proxy': (bench) => startNodePeer(bench, 'http-proxy'),
    '@fastify/http-proxy': (bench) => startNodePeer(bench, 'fastify-http-proxy'),
  },
  contenders: [
    { name: 'nginx', gateway: 'nginx', load: {} },
    { name: 'Sluice', gateway: 'sluice', load: {} },
    { name: 'http-proxy', gateway: 'http-proxy', load: {} },
    { name: '@fastify/http-proxy', gateway: '@fastify/http-proxy', load: {} },
  ],
  comparisons: [
    {
      title: 'bare route',
      subject: 'Sluice',
      against: 'nginx',
      target: 1.25,
      stretch: 1.1,
      known: 'Apache APISIX 3.18: 2.1–2.3',
    },
    { title: 'bare route through http-proxy', subject: 'http-proxy', against: 'nginx' },
    { title: 'bare route through @fastify/http-proxy', subject: '@fastify/http-proxy', against: 'nginx' },
  ],
  profiled: 'Sluice',
};
