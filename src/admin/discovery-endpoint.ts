import { type AdminReply, errorReply } from './admin-reply.ts';
import type { ExtensionRequest } from './admin-server.ts';

/** What registries have told of the services that Upstreams name. */
export interface DiscoveryViews {
  view(type: string): object | undefined;
}

/**
 * Answers `GET /apisix/admin/discovery/{type}/dump`, after `/v1/discovery/{type}/dump` of APISIX's
 * control API, without the settings there: they hold tokens. `views` is undefined while no Upstream
 * names a service.
 */
export function discoveryEndpoint(
  views: () => DiscoveryViews | undefined,
): (request: ExtensionRequest) => AdminReply {
  return ({ method, segments: [type, dump, ...rest] }) => {
    if (method !== 'GET' || type === undefined || dump !== 'dump' || rest.length > 0)
      return errorReply(404, 'not found');
    const body = views()?.view(type);
    return body === undefined
      ? errorReply(404, `no Upstream names a service of discovery_type ${type}`)
      : { status: 200, body: { ...body } };
  };
}
