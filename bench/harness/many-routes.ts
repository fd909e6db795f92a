// Configurations of many Routes, and paths that meet them in an order that looks random and is fixed.

/** Every Route has a path of three segments of its own, a wildcard behind it, and one Upstream for all. */
export function manyRoutes(count: number): { id: string; uri: string; upstream_id: string }[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `route-${index}`,
    uri: `${prefix(index)}/*`,
    upstream_id: 'api',
  }));
}

export function sharedUpstream(port: number): { type: string; nodes: Record<string, number> } {
  return { type: 'roundrobin', nodes: { [`127.0.0.1:${port}`]: 1 } };
}

/** A path that the Route with this number takes. */
export function pathOf(index: number): string {
  return `${prefix(index)}/items/${index % 977}`;
}

function prefix(index: number): string {
  return `/team-${index % 100}/service-${index}/v1`;
}

/** `length` paths over `routes` Routes, one a line. */
export function randomPaths(routes: number, length: number): string {
  const lines: string[] = [];
  // The constants of Numerical Recipes' "quick and dirty" generator; good enough to defeat caches.
  let state = 20_240_501;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    lines.push(pathOf(Math.floor((state / 2 ** 32) * routes)));
  }
  return `${lines.join('\n')}\n`;
}

export interface FileOptions {
  readonly port: number;
  readonly upstreamPort: number;
  readonly routes: number;
  readonly format: 'json' | 'yaml';
}

/** A declarative file with many Routes, one worker, no log and no metrics. */
export function fileOfRoutes({ port, upstreamPort, routes, format }: FileOptions): string {
  const settings = {
    listeners: [{ address: `127.0.0.1:${port}` }],
    workers: 1,
    client: { keepalive_requests: 0 },
    access_log: { path: 'off' },
    metrics: { enabled: false },
    upstreams: [{ id: 'api', ...sharedUpstream(upstreamPort) }],
  };
  const all = manyRoutes(routes);
  if (format === 'json') return JSON.stringify({ ...settings, routes: all }, undefined, 1);
  const lines = Object.entries(settings).map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`);
  const entries = all.map(
    ({ id, uri, upstream_id }) => `  - id: ${id}\n    uri: ${uri}\n    upstream_id: ${upstream_id}\n`,
  );
  return `# ${routes} Routes, as a person would write them.\n${lines.join('')}routes:\n${entries.join('')}`;
}
