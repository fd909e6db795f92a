// What the supervisor and its workers tell each other.

import type { Change } from '../model/change.ts';
import type { DiscoveredSet } from '../model/discovery.ts';
import type { GaugeReading } from '../model/gauge.ts';
import type { Listener } from '../model/listener.ts';
import type { Resource, Revision } from '../model/resource.ts';
import type { TlsMaterial } from '../model/tls-material.ts';
import type { ZoneSettings } from '../state/cache/cache-zones.ts';
import type { SharedStateBuffers } from '../state/memory/shared-state.ts';
import type { GeoBytes } from './geo-files.ts';
import type { PluginFile } from './plugin-files.ts';

/** What a worker is started with. */
export interface WorkerStart {
  readonly number: number;
  readonly incarnation: number;
  readonly state: SharedStateBuffers;
  readonly ring: SharedArrayBuffer | undefined;
  readonly listeners: readonly Listener[];
  /** Other workers, or a process that takes over, listen on the same ports. */
  readonly reusePort: boolean;
  /** By Listener the sockets of the process before this one that are this worker's; where there are none, it makes its own. */
  readonly handed: readonly (readonly number[])[];
  readonly client: ClientSettings;
  readonly trustedAddresses: readonly string[];
  readonly maxCollectedBytes: number;
  /** The user's own Plugins. */
  readonly pluginFiles: readonly PluginFile[];
  readonly dnsServers: readonly string[];
  /** Where the worker shows that its event loop turns; undefined when nobody looks. */
  readonly pulse: SharedArrayBuffer | undefined;
  /** Milliseconds for which its event loop may stand still; 0 for no limit. */
  readonly watchdogMs: number;
  /** The databases that know where addresses are. */
  readonly geo: GeoBytes;
  readonly tls: TlsStart;
  /** Zones for stored responses, among how many workers they are divided, and the name of their channel. */
  readonly caches: {
    readonly zones: readonly ZoneSettings[];
    readonly workers: number;
    readonly channel: string;
    readonly claims: SharedArrayBuffer | undefined;
  };
  readonly revision: Revision;
  readonly resources: readonly Resource[];
  readonly discovered: readonly DiscoveredSet[];
}

export interface TlsStart {
  readonly fallbackSni: string | undefined;
  readonly material: TlsMaterial;
}

/** Limits for clients; durations in seconds, sizes in bytes, 0 means none. */
export interface ClientSettings {
  readonly headerTimeout: number;
  readonly bodyTimeout: number;
  readonly keepaliveTimeout: number;
  readonly sendTimeout: number;
  readonly keepaliveRequests: number;
  readonly maxUriBytes: number;
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  readonly maxBodyBytes: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxUdpSessions: number;
}

export type ToWorker =
  | { readonly type: 'change'; readonly change: Change }
  | { readonly type: 'geo'; readonly geo: GeoBytes }
  | { readonly type: 'tls'; readonly serial: number; readonly material: TlsMaterial }
  | { readonly type: 'discovered'; readonly set: DiscoveredSet }
  | { readonly type: 'reload-plugin'; readonly file: PluginFile }
  /** With `lullMs` another process accepts already; see DataPlane.drain. */
  | { readonly type: 'drain'; readonly graceMs: number; readonly lullMs: number };

export type FromWorker =
  /** By Listener its port, and the file descriptors of its sockets; none for UDP. */
  | {
      readonly type: 'ready';
      readonly ports: readonly number[];
      readonly fds: readonly (readonly number[])[];
    }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'applied'; readonly revision: Revision }
  /** The material of this serial number is in use. */
  | { readonly type: 'tls-used'; readonly serial: number }
  | { readonly type: 'drained' }
  | { readonly type: 'gauge'; readonly reading: GaugeReading }
  | {
      readonly type: 'log';
      readonly level: 'error' | 'warn' | 'info' | 'debug';
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>> | undefined;
    };
