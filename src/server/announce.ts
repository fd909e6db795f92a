import path from 'node:path';
import { styleText } from 'node:util';
import { parseAddress } from '../model/listen-address.ts';
import type { Settings } from '../model/settings.ts';
import type { Gateway } from './gateway.ts';

/** How URLs call a protocol with TLS under it. */
const SECURE = { http: 'https', tcp: 'tls', udp: 'udp' } as const;

/** Says in a few lines where things are and what to do next. */
export function announce(
  version: string,
  gateway: Gateway,
  settings: Settings,
  lines: readonly (readonly [name: string, text: string])[],
): void {
  const traffic = settings.listeners.map(
    ({ address, protocol = 'http', tls = false }, index) =>
      `${tls ? SECURE[protocol] : protocol}://${inUrl(parseAddress(address).host)}:${gateway.workers.ports[index]}`,
  );
  const count = gateway.workers.revisions.length;
  const metrics = gateway.telemetry?.metricsAddress;
  const all: (readonly [string, string])[] = [...lines];
  // A control plane carries none.
  if (traffic.length > 0)
    all.unshift(['traffic', `${traffic.join(', ')}  (${count} worker${count === 1 ? '' : 's'})`]);
  if (metrics !== undefined) {
    all.push(['metrics', `http://${metrics.address}:${metrics.port}/apisix/prometheus/metrics`]);
  }
  if (gateway.statusAddress !== undefined) all.push(['status', `http://${gateway.statusAddress}/status`]);
  const title = `Sluice ${version}`;
  process.stderr.write(`${process.stderr.isTTY === true ? styleText('bold', title) : title}\n`);
  for (const [name, text] of all) process.stderr.write(`  ${name.padEnd(10)} ${text}\n`);
}

function inUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Where a client on this machine finds the first listener, as `http://host:port`. */
export function reachable(gateway: Gateway, settings: Settings): string {
  const { address, tls } = settings.listeners[0];
  const { host } = parseAddress(address);
  const everywhere = host === '0.0.0.0' || host === '::';
  return `${tls ? 'https' : 'http'}://${everywhere ? '127.0.0.1' : inUrl(host)}:${gateway.workers.ports[0]}`;
}

/** A path as short as it can be said from here. */
export function shown(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative === '' || relative.startsWith('..') ? file : relative;
}
