import { dataPlanesEndpoint } from '../admin/data-planes-endpoint.ts';
import type { CertificateFiles } from '../cluster/certificate-files.ts';
import type { ChangeHistory } from '../cluster/change-history.ts';
import type { ClusterServer } from '../cluster/cluster-server.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Logger } from '../plugin/kit.ts';

/** Where a control plane listens for its data planes, and how both know each other. */
export interface ClusterOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** A socket that listens there already. */
  readonly fd?: number | undefined;
  readonly certificates: CertificateFiles;
}

export interface PreparedCluster {
  readonly history: ChangeHistory;
  /** For the Admin API. */
  readonly extensions: { readonly data_planes: ReturnType<typeof dataPlanesEndpoint> };
  listen(options: ClusterOptions, refresh: () => Promise<void>, log: Logger): Promise<ClusterServer>;
}

/** What a control plane has besides the rest; most processes are none. */
export async function prepareCluster(snapshot: Snapshot): Promise<PreparedCluster> {
  const [{ ChangeHistory }, { DataPlanes }, { ClusterServer }] = await Promise.all([
    import('../cluster/change-history.ts'),
    import('../cluster/data-planes.ts'),
    import('../cluster/cluster-server.ts'),
  ]);
  const history = new ChangeHistory(snapshot);
  const dataPlanes = new DataPlanes(history);
  return {
    history,
    extensions: { data_planes: dataPlanesEndpoint(dataPlanes) },
    listen: ({ listen, fd, certificates }, refresh, log) =>
      ClusterServer.listen({ ...listen, fd, certificates, snapshot, history, dataPlanes, refresh, log }),
  };
}
