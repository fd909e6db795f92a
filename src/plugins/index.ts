import type { Plugin } from '../plugin/define-plugin.ts';
import { apiBreaker } from './api-breaker/api-breaker.ts';
import { basicAuth } from './basic-auth/basic-auth.ts';
import { brotli } from './brotli/brotli.ts';
import { clientControl } from './client-control/client-control.ts';
import { consumerRestriction } from './consumer-restriction/consumer-restriction.ts';
import { cors } from './cors/cors.ts';
import { faultInjection } from './fault-injection/fault-injection.ts';
import { geoRestriction } from './geo-restriction/geo-restriction.ts';
import { grpcWeb } from './grpc-web/grpc-web.ts';
import { gzip } from './gzip/gzip.ts';
import { httpCache } from './http-cache/http-cache.ts';
import { ipRestriction } from './ip-restriction/ip-restriction.ts';
import { keyAuth } from './key-auth/key-auth.ts';
import { limitConn } from './limit-conn/limit-conn.ts';
import { limitCount } from './limit-count/limit-count.ts';
import { limitRate } from './limit-rate/limit-rate.ts';
import { limitReq } from './limit-req/limit-req.ts';
import { mocking } from './mocking/mocking.ts';
import { prometheus } from './prometheus/prometheus.ts';
import { proxyCache } from './proxy-cache/proxy-cache.ts';
import { proxyControl } from './proxy-control/proxy-control.ts';
import { proxyMirror } from './proxy-mirror/proxy-mirror.ts';
import { proxyRewrite } from './proxy-rewrite/proxy-rewrite.ts';
import { realIp } from './real-ip/real-ip.ts';
import { redirect } from './redirect/redirect.ts';
import { requestId } from './request-id/request-id.ts';
import { responseRewrite } from './response-rewrite/response-rewrite.ts';
import { sloCanary } from './slo-canary/slo-canary.ts';
import { staticFiles } from './static-files/static-files.ts';
import { trafficSplit } from './traffic-split/traffic-split.ts';
import { zstd } from './zstd/zstd.ts';

/** Every Plugin that comes with the gateway, one a line, in order of priority. */
export const plugins: readonly Plugin[] = [
  realIp,
  clientControl,
  proxyControl,
  requestId,
  faultInjection,
  mocking,
  cors,
  ipRestriction,
  geoRestriction,
  basicAuth,
  keyAuth,
  consumerRestriction,
  httpCache,
  proxyCache,
  proxyMirror,
  proxyRewrite,
  apiBreaker,
  limitConn,
  limitCount,
  limitReq,
  brotli,
  gzip,
  zstd,
  sloCanary,
  trafficSplit,
  staticFiles,
  redirect,
  responseRewrite,
  limitRate,
  grpcWeb,
  prometheus,
];
