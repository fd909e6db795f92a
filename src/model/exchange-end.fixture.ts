// An ended Exchange for tests and benchmarks.

import type { ExchangeEnd } from './exchange-end.ts';

export interface ExchangeEndText {
  readonly method?: string;
  readonly target?: string;
  readonly host?: string;
  readonly userAgent?: string;
}

/** An ordinary GET answered by an Upstream, with another head and other fields where given. Texts are latin1; an empty one is absent. */
export function exchangeEnd(text: ExchangeEndText = {}, fields: Partial<ExchangeEnd> = {}): ExchangeEnd {
  const {
    method = 'GET',
    target = '/orders/7?page=2',
    host = 'orders.example.com',
    userAgent = 'curl/8.5.0',
  } = text;
  const head = Buffer.from(
    `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: ${userAgent}\r\n\r\n`,
    'latin1',
  );
  const targetStart = method.length + 1;
  const hostStart = targetStart + target.length + 17;
  const userAgentStart = hostStart + host.length + 14;
  const start = (value: string, at: number) => (value === '' ? -1 : at);
  const end = (value: string, at: number) => (value === '' ? -1 : at + value.length);
  return {
    startedAt: 1_780_000_000_123,
    durationMs: 3.217,
    upstreamMs: 2.5,
    status: 200,
    upstreamStatus: 200,
    source: 'upstream',
    cacheStatus: '',
    reason: '',
    attempts: 1,
    bytesIn: 120,
    bytesOut: 1187,
    revision: 17,
    requestId: '0123456789abcdef0123456789abcdef',
    clientAddress: '192.0.2.17',
    head,
    methodStart: start(method, 0),
    methodEnd: end(method, 0),
    targetStart: start(target, targetStart),
    targetEnd: end(target, targetStart),
    hostStart: start(host, hostStart),
    hostEnd: end(host, hostStart),
    userAgentStart: start(userAgent, userAgentStart),
    userAgentEnd: end(userAgent, userAgentStart),
    httpVersion: '1.1',
    scheme: 'http',
    routeId: 'orders',
    routeName: 'Orders',
    serviceId: 'shop',
    serviceName: 'Shop',
    upstreamId: 'shop-upstream',
    matchedUri: '/orders/*',
    matchedHost: 'orders.example.com',
    target: '10.0.0.17:8080',
    consumer: 'acme',
    metrics: true,
    preferName: false,
    ...fields,
  };
}
