// What the main thread and the telemetry thread say to each other.

import type { ReportedFigures } from './figures.ts';
import type { ListeningAddress } from './metrics-server.ts';

export type ToTelemetry =
  | { readonly type: 'addRing'; readonly worker: number; readonly ring: SharedArrayBuffer }
  | { readonly type: 'removeRing'; readonly worker: number }
  | { readonly type: 'report'; readonly figures: ReportedFigures }
  | { readonly type: 'redact'; readonly names: readonly string[] }
  | { readonly type: 'reopen' }
  | { readonly type: 'leave' }
  | { readonly type: 'stop'; readonly patienceMs: number };

export type FromTelemetry =
  | { readonly type: 'ready'; readonly metricsAddress: ListeningAddress | undefined }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'trouble'; readonly message: string }
  | { readonly type: 'reopened' }
  | { readonly type: 'stopped'; readonly droppedLines: number };
