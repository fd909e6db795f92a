/** Whether this gateway serves what is configured, with APISIX's words where it doesn't. */
export interface Readiness {
  readonly ready: boolean;
  readonly error?: string;
  /** It serves what was on its disk, and has not been in touch with a control plane since. */
  readonly stale?: boolean;
}

/** An answer to a load balancer or an orchestrator: a status and JSON. */
export interface StatusAnswer {
  readonly status: number;
  readonly body: string;
}

/** `/status`: the process answers. `/status/ready`: it serves. Undefined for any other path. */
export function statusAnswer(path: string, readiness: Readiness): StatusAnswer | undefined {
  if (path === '/status') return { status: 200, body: '{"status":"ok"}' };
  if (path !== '/status/ready') return undefined;
  if (readiness.ready) {
    // Old is better than nothing: a control plane that is away must not take its data planes out.
    return {
      status: 200,
      body: readiness.stale === true ? '{"status":"ok","stale":true}' : '{"status":"ok"}',
    };
  }
  return { status: 503, body: JSON.stringify({ status: 'error', error: readiness.error ?? 'not ready' }) };
}
