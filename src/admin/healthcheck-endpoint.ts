import type { Configuration } from '../model/configuration.ts';
import { type AdminReply, errorReply } from './admin-reply.ts';
import type { ExtensionRequest } from './admin-server.ts';

/** What is known of the Targets that are checked. */
export interface HealthViews {
  view(): readonly unknown[];
  viewOf(kind: string, id: string): object | undefined;
}

const KINDS = ['routes', 'services', 'upstreams', 'stream_routes'] as const;

/**
 * Answers `GET /apisix/admin/healthcheck` and `…/healthcheck/{kind}/{id}`, with
 * the bodies of APISIX's control API (`/v1/healthcheck`). `views` is undefined while nothing is
 * checked.
 */
export function healthcheckEndpoint(
  configuration: Pick<Configuration, 'snapshot'>,
  views: () => HealthViews | undefined,
): (request: ExtensionRequest) => AdminReply {
  return ({ method, segments }) => {
    if (method !== 'GET' || segments.length > 2) return errorReply(404, 'not found');
    if (segments.length === 0) return { status: 200, body: views()?.view() ?? [] };
    const [written, id] = segments;
    if (id === undefined) return errorReply(404, `missing src id for src type ${written}`);
    const kind = KINDS.find((one) => one === written);
    if (kind === undefined) return errorReply(400, `invalid src type ${written}`);
    if (!configuration.snapshot.has(kind, id)) return errorReply(404, `${kind}[${id}] not found`);
    const view = views()?.viewOf(kind, id);
    if (view === undefined) return errorReply(404, `no checker for ${kind}[${id}]`);
    return { status: 200, body: { ...view } };
  };
}
