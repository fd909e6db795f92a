// A Sluice that terminates TLS, and who answers there.

import assert from 'node:assert/strict';
import type { ConnectionOptions } from 'node:tls';
import type { Issued } from './certificate-authority.ts';
import { startWithFile } from './config-file.ts';
import { type EchoUpstream, type Scope, startEcho } from './echo-upstream.ts';
import type { ProcessOptions } from './process.ts';
import { TlsClient } from './tls-client.ts';

/** What a Sluice with TLS is started with. */
interface Written {
  readonly ssls: readonly object[];
  readonly settings?: object;
  readonly options?: ProcessOptions;
  readonly files?: Readonly<Record<string, string>>;
}

/** A Sluice with TLS that sends everything to an echo. */
export async function startTls(t: Scope, { ssls, settings, options, files }: Written) {
  const upstream = await startEcho(t);
  const text = (next: readonly object[]) => config(upstream, next, settings);
  const gateway = await startWithFile(t, text(ssls), {
    name: 'sluice.json',
    keepListeners: true,
    files,
    ...options,
  });
  return {
    ...gateway,
    upstream,
    port: gateway.sluice.port,
    replace: (next: readonly object[]) => gateway.write(text(next)),
  };
}

function config(upstream: EchoUpstream, ssls: readonly object[], settings: object = {}): string {
  return JSON.stringify({
    listeners: [{ address: '127.0.0.1:0', tls: true }],
    ...settings,
    routes: [{ id: 'all', uri: '/*', upstream: { nodes: { [upstream.address]: 1 } } }],
    ssls,
  });
}

export const ssl = (id: string, snis: readonly string[], { cert, key }: Issued, more: object = {}) => ({
  id,
  snis,
  cert,
  key,
  ...more,
});

/** The handshake fails. */
export const fails = (port: number, options: ConnectionOptions) =>
  assert.rejects(TlsClient.connect(port, options));

/** The subject of the certificate that answers to a name. */
export async function answering(
  port: number,
  servername: string,
  more: ConnectionOptions = {},
): Promise<string> {
  const client = await TlsClient.connect(port, { servername, ...more });
  const { subject } = client.socket.getPeerCertificate();
  client.close();
  return String(subject.CN);
}
