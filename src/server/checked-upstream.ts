import type { CompleteHealthCheck } from '../model/health-check.ts';
import type { UpstreamOptions } from '../proxy/upstream.ts';
import type { HealthThresholds, SharedHealth, SharedTargetHealth } from '../state/memory/target-health.ts';
import { type ActiveCheck, type ProbeResult, probe } from './health-probe.ts';

/** How names become addresses; last good answers are kept. */
export interface Addresses {
  resolve(host: string): Promise<readonly string[]>;
}

export interface CheckedUpstreamSurroundings {
  readonly health: SharedHealth;
  readonly addresses: () => Addresses;
  readonly onResult: () => void;
}

/** A Target of a checked Upstream, and when it is probed next. */
export interface CheckedTarget {
  readonly host: string;
  readonly port: number;
  readonly key: string;
  readonly health: SharedTargetHealth;
  /** Until its next probe. */
  timer: NodeJS.Timeout | undefined;
  /** It is being probed, or its turn comes as soon as others have been. */
  asked: boolean;
  turn: number;
}

/** The first probes of an Upstream's Targets are spread over this time. */
const SPREAD_MS = 100;

/** One Upstream with `checks`, `slow_start` or a breaker: its Targets, and their probes. */
export class CheckedUpstream {
  readonly key: string;
  readonly targets = new Map<string, CheckedTarget>();
  checks: CompleteHealthCheck | undefined;
  readonly #surroundings: CheckedUpstreamSurroundings;
  #options: UpstreamOptions | undefined;
  #thresholds: HealthThresholds | undefined;
  #running = 0;
  readonly #waiting: CheckedTarget[] = [];
  #closed = false;

  constructor(key: string, surroundings: CheckedUpstreamSurroundings) {
    this.key = key;
    this.#surroundings = surroundings;
  }

  /** Whose Targets these are, where they are discovered. */
  get service(): string | undefined {
    return this.#options?.service;
  }

  get hasBreaker(): boolean {
    return this.#options?.circuitBreaker !== undefined;
  }

  /** `http`, `https` or `tcp`; the active check's before the passive one's, as APISIX shows it. */
  get type(): string | undefined {
    return this.checks?.active?.type ?? this.checks?.passive?.type;
  }

  /**
   * Takes the configuration that holds from now on. Targets that stay keep what is known of them and
   * when they are probed. New ones warm up where `warmUp` says so.
   */
  configure(options: UpstreamOptions, warmUp: boolean): void {
    this.#options = options;
    this.checks = options.checks;
    const active = options.checks?.active;
    this.#thresholds = active && {
      success: active.healthy.successes,
      http_failure: active.unhealthy.http_failures,
      tcp_failure: active.unhealthy.tcp_failures,
      timeout: active.unhealthy.timeouts,
    };
    if (active === undefined) for (const target of this.#waiting.splice(0)) target.asked = false;
    const wanted = new Map(options.targets.map((target) => [target.key, target]));
    for (const [key, target] of this.targets) if (!wanted.has(key)) this.#drop(target);
    for (const { key, host, port } of wanted.values()) {
      let target = this.targets.get(key);
      if (target === undefined) {
        const health = this.#surroundings.health.target(this.key, key);
        target = { key, host, port, health, timer: undefined, asked: false, turn: 0 };
        this.targets.set(key, target);
        if (warmUp) health.warmUp();
      }
      if (active === undefined) {
        clearTimeout(target.timer);
        target.timer = undefined;
      } else if (target.timer === undefined && !target.asked)
        this.#schedule(target, Math.random() * SPREAD_MS);
    }
  }

  /** Ends the probes; with `forget`, what is known of its Targets goes too. */
  close(forget: boolean): void {
    this.#closed = true;
    for (const target of [...this.targets.values()]) {
      if (forget) this.#drop(target);
      else clearTimeout(target.timer);
    }
  }

  #drop(target: CheckedTarget): void {
    clearTimeout(target.timer);
    this.targets.delete(target.key);
    target.health.forget();
  }

  #schedule(target: CheckedTarget, delayMs: number): void {
    target.timer = setTimeout(() => {
      const active = this.checks?.active;
      target.timer = undefined;
      if (active === undefined) return;
      target.asked = true;
      if (this.#running >= Math.max(1, active.concurrency)) this.#waiting.push(target);
      else void this.#probe(target, active);
    }, delayMs);
    target.timer.unref();
  }

  async #probe(target: CheckedTarget, active: ActiveCheck): Promise<void> {
    this.#running++;
    const result = await this.#ask(target, active);
    this.#running--;
    target.asked = false;
    const next = this.#waiting.shift();
    const now = this.checks?.active;
    if (next !== undefined && now !== undefined) void this.#probe(next, now);
    // It may have been removed, or given to another check, while it was asked.
    if (this.#closed || this.targets.get(target.key) !== target || now === undefined) return;
    try {
      if (this.#count(target, active, result)) this.#surroundings.onResult();
    } catch {
      // A worker held the entry for too long, and may be about to be ended. The next probe counts.
    }
    const { interval } = target.health.unhealthy ? now.unhealthy : now.healthy;
    this.#schedule(target, interval * 1000);
  }

  async #ask(target: CheckedTarget, active: ActiveCheck): Promise<ProbeResult> {
    const options = this.#options!;
    const bare = target.host.replace(/^\[|\]$/g, '');
    const found = await this.#surroundings
      .addresses()
      .resolve(bare)
      .catch(() => []);
    if (found.length === 0) return 'tcp_failure';
    const port = active.port ?? target.port;
    const usual = active.type === 'https' ? 443 : 80;
    const name = bare.includes(':') ? `[${bare}]` : bare;
    const own = port === usual ? name : `${name}:${port}`;
    return probe(active, {
      address: found[target.turn++ % found.length],
      port,
      host: options.passHost === 'rewrite' && options.upstreamHost !== '' ? options.upstreamHost : own,
      tls: options.tls,
    });
  }

  #count({ health }: CheckedTarget, active: ActiveCheck, result: ProbeResult): boolean {
    const thresholds = this.#thresholds!;
    if (result === 'connected') return health.report('success', thresholds);
    if (typeof result === 'string') return health.report(result, thresholds);
    if (active.healthy.http_statuses.includes(result)) return health.report('success', thresholds);
    if (active.unhealthy.http_statuses.includes(result)) return health.report('http_failure', thresholds);
    return false;
  }
}
