import type { UpstreamFailure } from '../http/upstream-connection.ts';
import type { CompleteHealthCheck } from '../model/health-check.ts';
import type { Ejection, HealthEvent, HealthThresholds, TargetHealth } from '../state/memory/target-health.ts';

const HEALTHY = 1;
const UNHEALTHY = 2;

/** What failures of an attempt tell about the Target. */
const EVENTS: Readonly<Record<UpstreamFailure, HealthEvent>> = {
  connect_failed: 'tcp_failure',
  connect_timeout: 'timeout',
  send_timeout: 'timeout',
  read_timeout: 'timeout',
  upstream_closed: 'tcp_failure',
  upstream_reset: 'tcp_failure',
  bad_response: 'tcp_failure',
  tls_failed: 'tcp_failure',
};

/** What traffic tells about Targets, as an Upstream's `checks.passive` has it. */
export class PassiveCheck {
  readonly #thresholds: HealthThresholds;
  readonly #ejection: Ejection | undefined;
  readonly #meanings = new Uint8Array(600);

  /** With `probed`, probes bring a Target back, not time. */
  constructor(passive: NonNullable<CompleteHealthCheck['passive']>, probed: boolean) {
    const { healthy, unhealthy } = passive;
    // A tcp check asks whether there is a connection, whatever is said on it.
    const tcp = passive.type === 'tcp';
    if (!tcp) {
      for (const status of healthy.http_statuses) this.#meanings[status] = HEALTHY;
      for (const status of unhealthy.http_statuses) this.#meanings[status] = UNHEALTHY;
    } else this.#meanings.fill(HEALTHY);
    this.#thresholds = {
      success: healthy.successes,
      http_failure: unhealthy.http_failures,
      tcp_failure: unhealthy.tcp_failures,
      timeout: unhealthy.timeouts,
    };
    this.#ejection = probed
      ? undefined
      : { firstMs: passive.ejection_seconds * 1000, longestMs: passive.max_ejection_seconds * 1000 };
  }

  onStatus(health: TargetHealth, status: number): void {
    const meaning = this.#meanings[status];
    if (meaning === HEALTHY) health.report('success', this.#thresholds, this.#ejection);
    else if (meaning === UNHEALTHY) health.report('http_failure', this.#thresholds, this.#ejection);
  }

  onFailure(health: TargetHealth, failure: UpstreamFailure): void {
    health.report(EVENTS[failure], this.#thresholds, this.#ejection);
  }
}
