import { isIP } from 'node:net';
import type { EvaluationRequest, Explanation } from '../proxy/explanation.ts';
import type { Command } from './command.ts';
import { renderExplanation } from './render-explanation.ts';
import { UsageError } from './usage-error.ts';

type Options = Parameters<Command['run']>[1];

export const explain: Command = {
  name: 'explain',
  usage:
    "sluice explain [METHOD] URL [-H 'Name: value']… [--client ADDRESS] [--config FILE | --data DIR | --admin URL --key KEY] [--json]",
  summary: 'Says what would become of a request, and why; sends nothing.',
  details: `With --config it goes by a declarative file, with --data by what the Admin API was told, while no
gateway runs there; both count from zero. With --admin it asks a running gateway, which goes by
its own configuration and counters. Without any of them: http://127.0.0.1:9180 with the key in
SLUICE_ADMIN_KEY, or in ./.sluice/admin.key.`,
  options: {
    header: {
      type: 'string',
      short: 'H',
      multiple: true,
      value: "'NAME: VALUE'",
      description: 'a header field',
    },
    body: { type: 'string', value: 'TEXT', description: 'a body' },
    client: {
      type: 'string',
      value: 'ADDRESS',
      description: 'where the request comes from (default 127.0.0.1)',
    },
    config: { type: 'string', short: 'c', value: 'FILE', description: 'declarative file to go by' },
    data: { type: 'string', short: 'd', value: 'DIR', description: 'data directory to go by' },
    admin: { type: 'string', value: 'URL', description: 'Admin API to ask (default http://127.0.0.1:9180)' },
    key: {
      type: 'string',
      value: 'KEY',
      description: 'its key (default: SLUICE_ADMIN_KEY, or ./.sluice/admin.key)',
    },
    now: {
      type: 'string',
      value: 'TIME',
      description: 'another time than now, such as 2030-01-31T12:00:00Z',
    },
    seed: { type: 'string', value: 'N', description: 'another roll of the dice, another turn (default 0)' },
    json: { type: 'boolean', description: 'print the whole explanation as JSON' },
  },
  async run(positionals, options) {
    const request = requestFrom(positionals, options);
    const inputs = inputsFrom(options);
    const sources = (['config', 'data', 'admin'] as const).filter((name) => options[name] !== undefined);
    if (sources.length > 1) throw new UsageError(`--${sources[0]} and --${sources[1]} exclude each other`);
    if (options.key !== undefined && (sources[0] ?? 'admin') !== 'admin')
      throw new UsageError(`--key is for --admin, not for --${sources[0]}`);
    const explanation = await explainBy(sources[0], request, inputs, options);
    const text =
      options.json === true
        ? JSON.stringify(explanation, undefined, 2)
        : renderExplanation(explanation, process.stdout.isTTY === true);
    process.stdout.write(`${text}\n`);
  },
};

interface Inputs {
  readonly now?: number;
  readonly seed?: number;
}

async function explainBy(
  source: 'config' | 'data' | 'admin' | undefined,
  request: EvaluationRequest,
  inputs: Inputs,
  options: Options,
): Promise<Explanation> {
  if (source === 'config' || source === 'data') {
    const { explainByFile, explainByStore } = await import('./explain-offline.ts');
    const explain = source === 'config' ? explainByFile : explainByStore;
    return explain(String(options[source]), request, inputs);
  }
  const { explainByAdmin } = await import('./explain-live.ts');
  return explainByAdmin(
    String(options.admin ?? 'http://127.0.0.1:9180'),
    typeof options.key === 'string' ? options.key : undefined,
    {
      ...request,
      ...inputs,
    },
  );
}

function requestFrom(positionals: readonly string[], options: Options): EvaluationRequest {
  if (positionals.length === 0 || positionals.length > 2)
    throw new UsageError('explain wants a URL, and a METHOD before it unless that is GET');
  const [method, url] = positionals.length === 2 ? positionals : ['GET', positionals[0]];
  const { client, body } = options;
  if (client !== undefined && isIP(String(client)) === 0)
    throw new UsageError(`--client wants an IP address; got ${client}`);
  const fields = (options.header ?? []) as readonly string[];
  return {
    method,
    url,
    headers: fields.map(parseField),
    ...(client !== undefined && { client: String(client) }),
    ...(body !== undefined && { body: String(body) }),
  };
}

function parseField(field: string): readonly [name: string, value: string] {
  const colon = field.indexOf(':');
  if (colon <= 0) throw new UsageError(`-H wants 'Name: value'; got ${JSON.stringify(field)}`);
  return [field.slice(0, colon), field.slice(colon + 1).trim()];
}

function inputsFrom({ now, seed }: Options): Inputs {
  const time = now === undefined ? undefined : Date.parse(String(now));
  if (Number.isNaN(time)) throw new UsageError(`--now wants a time like 2030-01-31T12:00:00Z; got ${now}`);
  const number = seed === undefined ? undefined : Number(seed);
  if (number !== undefined && !Number.isSafeInteger(number))
    throw new UsageError(`--seed wants a whole number; got ${seed}`);
  return { ...(time !== undefined && { now: time }), ...(number !== undefined && { seed: number }) };
}
