import type { BenchCase } from '../harness/bench-case.ts';
import { accessLog } from './access-log.ts';
import { adminApi } from './admin-api.ts';
import { bareRoute } from './bare-route.ts';
import { browserRequest } from './browser-request.ts';
import { cacheHit } from './cache-hit.ts';
import { connectionPerRequest } from './connection-per-request.ts';
import { features } from './features.ts';
import { gatewayReplies } from './gateway-replies.ts';
import { http2 } from './http2.ts';
import { manyConnections } from './many-connections.ts';
import { memory } from './memory.ts';
import { post } from './post.ts';
import { start } from './start.ts';
import { tenThousandRoutes } from './ten-thousand-routes.ts';
import { tls } from './tls.ts';
import { websocket } from './websocket.ts';

/** In the order of the page. */
export const cases: readonly BenchCase[] = [
  bareRoute,
  features,
  accessLog,
  gatewayReplies,
  cacheHit,
  tenThousandRoutes,
  browserRequest,
  post,
  manyConnections,
  connectionPerRequest,
  tls,
  http2,
  websocket,
  adminApi,
  start,
  memory,
];
