import type { Plugin } from '../plugin/define-plugin.ts';
import { cors } from './cors/cors.ts';
import { faultInjection } from './fault-injection/fault-injection.ts';
import { mocking } from './mocking/mocking.ts';
import { prometheus } from './prometheus/prometheus.ts';
import { proxyRewrite } from './proxy-rewrite/proxy-rewrite.ts';
import { redirect } from './redirect/redirect.ts';
import { responseRewrite } from './response-rewrite/response-rewrite.ts';
import { trafficSplit } from './traffic-split/traffic-split.ts';

/** Every Plugin that comes with the gateway, one a line, in order of priority. */
export const plugins: readonly Plugin[] = [
  faultInjection,
  mocking,
  cors,
  proxyRewrite,
  trafficSplit,
  redirect,
  responseRewrite,
  prometheus,
];
