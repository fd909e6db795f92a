import type { LineDestination } from './line-sink.ts';

export interface AccessLogSettings {
  readonly destination: LineDestination;
  /** Query parameters whose values stay out of the log; DEFAULT_REDACTED_PARAMETERS when absent. */
  readonly redactedParameters?: readonly string[];
  /** The most memory for lines not yet written, in bytes; 4 MiB when absent. */
  readonly capBytes?: number;
}

export interface PrometheusSettings {
  /** 127.0.0.1 when absent. */
  readonly address?: string;
  /** 9091 when absent, 0 for any free one. */
  readonly port?: number;
  /** A socket that listens there already, in place of address and port. */
  readonly fd?: number | undefined;
  /** `/apisix/prometheus/metrics` when absent. */
  readonly path?: string;
  /** In front of APISIX's names; `apisix_` when absent. */
  readonly prefix?: string;
  /** Label sets counted apart; 10 000 when absent. */
  readonly maxSeries?: number;
}

export interface TelemetrySettings {
  /** The product's version. */
  readonly version: string;
  /** None when absent. */
  readonly accessLog?: AccessLogSettings;
  /** Not served when absent. */
  readonly prometheus?: PrometheusSettings;
}

export const DEFAULT_LOG_CAP_BYTES = 4 * 1024 * 1024;
