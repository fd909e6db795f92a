// A reader of Prometheus' text format (0.0.4), for tests: written from the format's description and
// without a look at our writer, stricter than Prometheus itself.

export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedMetric {
  readonly name: string;
  readonly type: string;
  readonly samples: ParsedSample[];
}

/** Throws on anything the format doesn't allow: a line without a type above it, a sample given twice, a broken escape, a histogram that falls. */
export function parseExposition(text: string): Map<string, ParsedMetric> {
  if (!text.endsWith('\n')) throw new Error('the last line must end');
  const metrics = new Map<string, ParsedMetric>();
  const seen = new Set<string>();
  const helped = new Set<string>();
  let current: ParsedMetric | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (comment !== null) {
      const [, kind, name, rest] = comment;
      if (kind === 'HELP') {
        if (helped.has(name)) throw new Error(`second HELP of ${name}`);
        helped.add(name);
        continue;
      }
      if (metrics.has(name)) throw new Error(`second TYPE of ${name}`);
      if (!/^(counter|gauge|histogram)$/.test(rest)) throw new Error(`unknown type ${rest}`);
      current = { name, type: rest, samples: [] };
      metrics.set(name, current);
      continue;
    }
    const sample = parseSample(line);
    if (current === undefined) throw new Error(`no TYPE above ${line}`);
    const family =
      current.type === 'histogram' ? sample.name.replace(/_(bucket|sum|count)$/, '') : sample.name;
    if (family !== current.name) throw new Error(`${sample.name} stands under ${current.name}`);
    const identity = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
    if (seen.has(identity)) throw new Error(`given twice: ${line}`);
    seen.add(identity);
    current.samples.push(sample);
  }
  for (const metric of metrics.values()) if (metric.type === 'histogram') checkHistogram(metric);
  return metrics;
}

function parseSample(line: string): ParsedSample {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0];
  if (name === undefined) throw new Error(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  let rest = line.slice(name.length);
  if (rest.startsWith('{')) {
    rest = rest.slice(1);
    while (!rest.startsWith('}')) {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"/.exec(rest);
      if (label === null) throw new Error(`broken label: ${line}`);
      if (label[1] in labels) throw new Error(`label twice: ${line}`);
      labels[label[1]] = label[2].replace(/\\(.)/g, (_, unit) => (unit === 'n' ? '\n' : unit));
      rest = rest.slice(label[0].length);
      if (rest.startsWith(',')) rest = rest.slice(1);
      else if (!rest.startsWith('}')) throw new Error(`broken labels: ${line}`);
    }
    rest = rest.slice(1);
  }
  if (!/^ (?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|\+Inf)$/.test(rest))
    throw new Error(`broken value: ${line}`);
  return { name, labels, value: Number(rest.slice(1)) };
}

function checkHistogram({ name, samples }: ParsedMetric): void {
  const last = new Map<string, { bound: number; value: number }>();
  for (const sample of samples) {
    const { le, ...others } = sample.labels;
    const identity = JSON.stringify(Object.entries(others));
    const before = last.get(identity);
    if (sample.name === `${name}_bucket`) {
      const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
      if (before !== undefined && (bound <= before.bound || sample.value < before.value)) {
        throw new Error(`${name} falls at ${le}`);
      }
      last.set(identity, { bound, value: sample.value });
    } else if (before?.bound !== Number.POSITIVE_INFINITY) {
      throw new Error(`${name} has no +Inf bucket`);
    } else if (sample.name === `${name}_count` && sample.value !== before.value) {
      throw new Error(`${name}_count is not the +Inf bucket`);
    }
  }
}
