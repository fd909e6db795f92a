// One probe of one Target: what `checks.active` asks for, and what became of it.

import http, { type RequestOptions } from 'node:http';
import https from 'node:https';
import { connect, isIP } from 'node:net';
import type { TlsOptions } from '../http/socket-transport.ts';
import type { CompleteHealthCheck } from '../model/health-check.ts';

export type ActiveCheck = NonNullable<CompleteHealthCheck['active']>;

export interface ProbeTarget {
  /** An IP address. */
  readonly address: string;
  readonly port: number;
  /** The Host field, and the name that a certificate must prove, where the checks name none. */
  readonly host: string;
  readonly tls: TlsOptions | undefined;
}

/** A status, or why there was none. */
export type ProbeResult = number | 'connected' | 'tcp_failure' | 'timeout';

/** Probes once. Never rejects. */
export function probe(check: ActiveCheck, target: ProbeTarget): Promise<ProbeResult> {
  return new Promise((resolve) => {
    let stop = () => {};
    const timer = setTimeout(() => end('timeout'), Math.max(check.timeout, 0.001) * 1000);
    const end = (result: ProbeResult) => {
      clearTimeout(timer);
      resolve(result);
      stop();
    };
    try {
      stop = (check.type === 'tcp' ? probeTcp : probeHttp)(check, target, end);
    } catch {
      end('tcp_failure');
    }
  });
}

function probeTcp(_check: ActiveCheck, { address, port }: ProbeTarget, end: (result: ProbeResult) => void) {
  const socket = connect({ host: address, port });
  socket.once('connect', () => end('connected'));
  socket.on('error', () => end('tcp_failure'));
  return () => socket.destroy();
}

function probeHttp(check: ActiveCheck, target: ProbeTarget, end: (result: ProbeResult) => void) {
  const options: RequestOptions = {
    host: target.address,
    port: target.port,
    method: check.http_method,
    path: check.http_path,
    headers: fieldsOf(check, target),
    setHost: false,
    agent: false,
  };
  const request =
    check.type === 'https' ? https.request({ ...options, ...tlsOf(check, target) }) : http.request(options);
  request.once('response', ({ statusCode = 0 }) => end(statusCode));
  request.on('error', () => end('tcp_failure'));
  request.end(check.http_req_body);
  return () => request.destroy();
}

function fieldsOf(check: ActiveCheck, target: ProbeTarget): string[] {
  const own = (check.req_headers ?? []).flatMap((line) => {
    const colon = line.indexOf(':');
    return colon < 1 ? [] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  });
  const names = new Set(own.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()));
  const fields: [string, string][] = [
    ['Host', check.host ?? target.host],
    ['User-Agent', 'sluice-health-check'],
    ['Connection', 'close'],
  ];
  if (check.http_req_body !== '')
    fields.push(['Content-Length', String(Buffer.byteLength(check.http_req_body))]);
  return [...fields.filter(([name]) => !names.has(name.toLowerCase())).flat(), ...own];
}

function tlsOf(check: ActiveCheck, { tls, host }: ProbeTarget): https.RequestOptions {
  const named = (check.host ?? host).replace(/:\d+$/, '');
  const name = check.host ?? tls?.servername ?? named;
  const { ca, cert, key } = (tls ?? {}) as https.RequestOptions;
  return {
    ca,
    cert,
    key,
    rejectUnauthorized: check.https_verify_certificate && tls?.rejectUnauthorized !== false,
    ...(isIP(name.replace(/^\[|\]$/g, '')) === 0 && { servername: name }),
  };
}
