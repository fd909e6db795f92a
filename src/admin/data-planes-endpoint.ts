import { type AdminReply, errorReply } from './admin-reply.ts';
import type { ExtensionRequest } from './admin-server.ts';

/** The data planes of this control plane, each as it is to be shown. */
export interface DataPlaneList {
  list(): readonly object[];
  get(id: string): object | undefined;
}

/** `GET /apisix/admin/data_planes` and `/data_planes/{id}`: who follows, and how far they are. */
export function dataPlanesEndpoint(dataPlanes: DataPlaneList): (request: ExtensionRequest) => AdminReply {
  return ({ method, segments }) => {
    if (method !== 'GET' || segments.length > 1) return errorReply(404, 'not found');
    const [id] = segments;
    if (id === undefined) {
      const list = dataPlanes.list();
      return { status: 200, body: { total: list.length, list } };
    }
    const one = dataPlanes.get(id);
    return one === undefined
      ? { status: 404, body: { message: 'Key not found' } }
      : { status: 200, body: { ...one } };
  };
}
