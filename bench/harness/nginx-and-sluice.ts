import type { Load, LoadCase } from './bench-case.ts';
import { startSluice } from './sluice.ts';

/** A bare route under another load than the usual one, through nginx and through Sluice. */
export function nginxAndSluice(
  words: Pick<LoadCase, 'name' | 'title' | 'about'>,
  load: Partial<Load>,
): LoadCase {
  return {
    kind: 'load',
    ...words,
    gateways: {
      nginx: (bench) => bench.startNginx('nginx-proxy.conf'),
      sluice: (bench) => startSluice(bench, 'sluice-bare.yaml'),
    },
    contenders: [
      { name: 'nginx', gateway: 'nginx', load },
      { name: 'Sluice', gateway: 'sluice', load },
    ],
    comparisons: [{ title: words.title, subject: 'Sluice', against: 'nginx' }],
    profiled: 'Sluice',
  };
}
