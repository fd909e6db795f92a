import type { ExchangeEnd } from '../model/exchange-end.ts';
import type { StreamExchange } from './stream-exchange.ts';

const NOTHING = new Uint8Array(0);

/** What the telemetry takes of an ended stream: the name that a TLS client asked for stands as its host. */
export function streamEnd(exchange: StreamExchange, wantsDetail: boolean): ExchangeEnd {
  const { serverName, route, target, upstream } = exchange;
  const head = serverName === undefined ? NOTHING : Buffer.from(serverName, 'latin1');
  const named = head.length > 0;
  return {
    startedAt: exchange.startedAt,
    durationMs: exchange.durationMs,
    upstreamMs: exchange.connectMs,
    status: exchange.status,
    upstreamStatus: 0,
    source: exchange.status === 200 ? 'upstream' : 'gateway',
    cacheStatus: '',
    reason: exchange.reason,
    attempts: exchange.attempts,
    bytesIn: exchange.bytesIn,
    bytesOut: exchange.bytesOut,
    revision: exchange.revision,
    requestId: wantsDetail ? exchange.id : '',
    clientAddress: exchange.ends.clientAddress,
    head,
    methodStart: -1,
    methodEnd: -1,
    targetStart: -1,
    targetEnd: -1,
    hostStart: named ? 0 : -1,
    hostEnd: named ? head.length : -1,
    userAgentStart: -1,
    userAgentEnd: -1,
    httpVersion: '',
    scheme: exchange.protocol,
    routeId: route?.id ?? '',
    routeName: route?.name ?? '',
    serviceId: route?.service?.id ?? '',
    serviceName: (route?.service?.value.name as string | undefined) ?? '',
    upstreamId: exchange.attempts > 0 ? (upstream?.id ?? '') : '',
    target: target?.key ?? '',
    consumer: '',
    metrics: exchange.metrics,
    preferName: exchange.preferName,
  };
}
