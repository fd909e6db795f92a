import type { BeforeProxyExchange, UpstreamHandle } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { NothingSent } from '../../plugin/own-request.ts';

interface MirrorConfig {
  readonly host: string;
  readonly max_body_size: number;
  readonly max_concurrency: number;
  readonly timeout: number;
}

/** How often the log may say that copies were lost, in milliseconds. */
const QUIET_MS = 60_000;

/** Sends copies. Whatever becomes of them, nobody waits and nothing is thrown. */
export class Mirror {
  readonly #kit: Kit;
  readonly #upstream: UpstreamHandle;
  readonly #config: MirrorConfig;
  #underWay = 0;
  #failed = 0;
  #dropped = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(kit: Kit, upstream: UpstreamHandle, config: MirrorConfig) {
    this.#kit = kit;
    this.#upstream = upstream;
    this.#config = config;
  }

  copy(exchange: BeforeProxyExchange, target: string): void {
    const { request, upstream } = exchange;
    // A tunnel can't be copied, and its beginning alone would be another request.
    if (request.header('upgrade') !== undefined) return;
    const length = Number(request.header('content-length') ?? 0);
    const hasBody = length > 0 || request.header('transfer-encoding') !== undefined;
    if (this.#underWay >= this.#config.max_concurrency || length > this.#config.max_body_size) {
      this.#dropped++;
      this.#tell();
      return;
    }
    this.#underWay++;
    // All that is needed of the Exchange is read now: it may end before its body has come.
    const { method } = upstream;
    const headers = endToEnd(request.headers(), upstream.host);
    if (hasBody) {
      void exchange.copyBody(this.#config.max_body_size).then((body) => {
        if (body !== undefined) return this.#send(method, target, headers, body);
        this.#underWay--;
        this.#dropped++;
        this.#tell();
      });
    } else void this.#send(method, target, headers, undefined);
  }

  async #send(
    method: string,
    target: string,
    headers: readonly (readonly [string, string])[],
    body: Uint8Array | undefined,
  ): Promise<void> {
    const timeoutMs = this.#config.timeout * 1000;
    const rest = { timeoutMs, discardBody: true, ...(body !== undefined && { body }) };
    try {
      await this.#kit.send({ upstream: this.#upstream, method, target, headers, ...rest });
    } catch (error) {
      if (error instanceof NothingSent) return;
      this.#failed++;
      this.#tell(error);
    } finally {
      this.#underWay--;
    }
  }

  /** Says how many copies were lost, and no more than once a minute. */
  #tell(error?: unknown): void {
    const now = this.#kit.clock.monotonic();
    if (now - this.#toldAt < QUIET_MS) return;
    this.#toldAt = now;
    this.#kit.log.warn('requests were not mirrored', {
      host: this.#config.host,
      failed: this.#failed,
      dropped: this.#dropped,
      ...(error instanceof Error && { last_error: error.message }),
    });
  }
}

/** The fields that are for the Upstream and not for the next hop (RFC 9110 7.6.1), with its Host. */
function endToEnd(
  fields: readonly (readonly [name: string, value: string])[],
  host: string | undefined,
): (readonly [string, string])[] {
  const named = new Set(
    fields
      .filter(([name]) => name.toLowerCase() === 'connection')
      .flatMap(([, value]) => value.split(','))
      .map((name) => name.trim().toLowerCase()),
  );
  const kept = fields.filter(([name]) => {
    const lower = name.toLowerCase();
    return !named.has(lower) && !HOP.has(lower) && (host === undefined || lower !== 'host');
  });
  return host === undefined ? kept : [['Host', host], ...kept];
}

const HOP = new Set(['proxy-connection', 'proxy-authorization', 'expect', 'trailer']);
