import { readFileSync } from 'node:fs';
import path from 'node:path';
import { freePort } from '../../test/support/free-port.ts';
import type { LoadCase } from '../harness/bench-case.ts';
import { startSluice } from '../harness/sluice.ts';

const folder = path.join(import.meta.dirname, '../../test/support/certificates');
const certificate = path.join(folder, 'server.crt');
const key = path.join(folder, 'server.key');
/** A text as YAML takes it on one line. */
const inline = (file: string) => JSON.stringify(readFileSync(file, 'utf8'));

export const tls: LoadCase = {
  kind: 'load',
  name: 'tls',
  title: 'TLS from clients',
  about:
    'The bare route behind TLS 1.3 with the same certificate: on connections that are kept, and with a full ' +
    'handshake for every request. Both do their cryptography with OpenSSL.',
  gateways: {
    async nginx(bench) {
      const tlsPort = await freePort();
      const running = await bench.startNginx('nginx-tls.conf', { tlsPort, certificate, key });
      return { ...running, tlsPort };
    },
    async sluice(bench) {
      const tlsPort = await freePort();
      const values = { tlsPort, certificate: inline(certificate), key: inline(key) };
      return { ...(await startSluice(bench, 'sluice-tls.yaml', values)), tlsPort };
    },
  },
  contenders: [
    { name: 'nginx, kept', gateway: 'nginx', load: { tls: true } },
    { name: 'Sluice, kept', gateway: 'sluice', load: { tls: true } },
    {
      name: 'nginx, a handshake each',
      gateway: 'nginx',
      load: { tls: true, headers: ['Connection: close'] },
    },
    {
      name: 'Sluice, a handshake each',
      gateway: 'sluice',
      load: { tls: true, headers: ['Connection: close'] },
    },
  ],
  comparisons: [
    {
      title: 'TLS on kept connections',
      subject: 'Sluice, kept',
      against: 'nginx, kept',
      target: 1.4,
      stretch: 1.15,
    },
    {
      title: 'a TLS handshake for every request',
      subject: 'Sluice, a handshake each',
      against: 'nginx, a handshake each',
    },
  ],
  profiled: 'Sluice, kept',
};
