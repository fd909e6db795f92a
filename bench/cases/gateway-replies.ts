import type { LoadCase } from '../harness/bench-case.ts';
import { startSluice } from '../harness/sluice.ts';

const wanted = { against: 'nginx proxying', target: 0.8, stretch: 0.6 };

export const gatewayReplies: LoadCase = {
  kind: 'load',
  name: 'gateway-replies',
  title: 'Answers that the gateway gives itself',
  about:
    'Refusals must be cheaper than requests that are served: 404 without a Route, 401 without a key, 429 over a ' +
    'limit, each against nginx proxying a request on the bare route.',
  gateways: {
    nginx: (bench) => bench.startNginx('nginx-proxy.conf'),
    sluice: (bench) => startSluice(bench, 'sluice-replies.yaml'),
  },
  contenders: [
    { name: 'nginx proxying', gateway: 'nginx', load: {} },
    { name: 'Sluice, 404', gateway: 'sluice', load: { path: '/nowhere', expectedStatus: 404 } },
    { name: 'Sluice, 401', gateway: 'sluice', load: { path: '/keyed/1', expectedStatus: 401 } },
    { name: 'Sluice, 429', gateway: 'sluice', load: { path: '/limited/1', expectedStatus: 429 } },
  ],
  comparisons: [
    { ...wanted, title: '404 made by the gateway', subject: 'Sluice, 404', known: 'Apache APISIX 3.18: 1.1' },
    { ...wanted, title: '401 made by the gateway', subject: 'Sluice, 401', known: 'Apache APISIX 3.18: 2.1' },
    { ...wanted, title: '429 made by the gateway', subject: 'Sluice, 429', known: 'Apache APISIX 3.18: 2.0' },
  ],
  profiled: 'Sluice, 429',
};
