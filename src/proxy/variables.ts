import type { Exchange } from './exchange.ts';

/** Variables by their whole name. Names and meanings as in nginx and APISIX. */
const BY_NAME: Readonly<Record<string, (exchange: Exchange) => string | undefined>> = {
  uri: (exchange) => exchange.request.path,
  document_uri: (exchange) => exchange.request.path,
  request_uri: (exchange) => exchange.request.target,
  args: (exchange) => exchange.request.query || undefined,
  query_string: (exchange) => exchange.request.query || undefined,
  is_args: (exchange) => (exchange.request.query === '' ? '' : '?'),
  host: (exchange) => exchange.request.host,
  hostname: (exchange) => exchange.request.host,
  http_host: (exchange) =>
    exchange.request.edits.get(exchange.requestHead, 'host') ?? exchange.request.authority,
  scheme: (exchange) => exchange.request.scheme,
  https: (exchange) => (exchange.tls === null ? '' : 'on'),
  method: (exchange) => exchange.request.method,
  request_method: (exchange) => exchange.request.method,
  request_length: (exchange) => String(exchange.bytesIn),
  server_protocol: ({ request: { httpVersion } }) =>
    httpVersion === '2' ? 'HTTP/2.0' : `HTTP/${httpVersion}`,
  remote_addr: (exchange) => exchange.request.clientAddress,
  remote_port: (exchange) => String(exchange.request.clientPort),
  realip_remote_addr: (exchange) => exchange.request.peerAddress,
  server_port: (exchange) => String(exchange.localPort),
  content_length: (exchange) => exchange.request.header('content-length'),
  content_type: (exchange) => exchange.request.header('content-type'),
  request_id: (exchange) => exchange.id,
  time_iso8601: (exchange) => new Date(exchange.startedAt).toISOString(),
  msec: (exchange) => (exchange.startedAt / 1000).toFixed(3),
  route_id: (exchange) => exchange.routeId || undefined,
  route_name: (exchange) => exchange.routeName || undefined,
  matched_uri: (exchange) => exchange.matchedUri,
  service_id: (exchange) => exchange.serviceId,
  service_name: (exchange) => exchange.serviceName || undefined,
  consumer_name: (exchange) => exchange.consumer?.username,
  consumer_group_id: (exchange) => exchange.consumer?.groupId,
  upstream_addr: (exchange) => exchange.targetKey || undefined,
  upstream_host: (exchange) => exchange.upstream.host,
  upstream_uri: (exchange) => exchange.upstream.path,
  upstream_status: (exchange) =>
    exchange.upstreamStatus === 0 ? undefined : String(exchange.upstreamStatus),
  upstream_cache_status: (exchange) => exchange.cacheStatus.toUpperCase() || undefined,
  status: (exchange) => (exchange.response.status === 0 ? undefined : String(exchange.response.status)),
};

/** The value of a variable, or undefined. */
export function readVariable(exchange: Exchange, name: string): string | undefined {
  const own = exchange.ownVariables?.get(name);
  if (own !== undefined) return own;
  const named = BY_NAME[name];
  if (named !== undefined && Object.hasOwn(BY_NAME, name)) return named(exchange);
  if (name.startsWith('http_'))
    return exchange.request.header(name.slice(5).replaceAll('_', '-').toLowerCase());
  if (name.startsWith('arg_')) return exchange.request.queryParameter(name.slice(4));
  if (name.startsWith('cookie_')) return exchange.request.cookie(name.slice(7));
  if (name.startsWith('sent_http_'))
    return exchange.response.header(name.slice(10).replaceAll('_', '-').toLowerCase());
  if (name.startsWith('geoip2_'))
    return exchange.host.geo?.lookup(exchange.request.clientAddress)?.[name.slice(7)];
  if (name.startsWith('ssl_')) return exchange.tls?.variable(name);
  if (name.startsWith('upstream_http_'))
    return exchange.response.header(name.slice(14).replaceAll('_', '-').toLowerCase());
  if (name.startsWith('uri_param_')) return exchange.uriParameter(name.slice(10));
  return undefined;
}
