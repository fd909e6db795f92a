import { parseAcceptEncoding } from '../../lib/accept-encoding.ts';
import { type Static, Type } from '../../lib/schema.ts';
import { definePlugin, type Outcome } from '../../plugin/define-plugin.ts';
import type { AccessExchange } from '../../plugin/exchange.ts';
import { type Reply, reply, streamedReply } from '../../plugin/reply.ts';
import { namesOf } from './file-path.ts';
import { FileSource } from './file-source.ts';
import { mediaTypeOf } from './media-type.ts';
import { type OpenFile, openFile } from './open-file.ts';
import { preconditionStatus, requestedRange, type Version } from './preconditions.ts';

const config = Type.Object(
  {
    root: Type.String({
      minLength: 1,
      description: 'The folder whose files are served; relative to where Sluice was started.',
    }),
    strip_prefix: Type.Optional(
      Type.String({
        pattern: '^/',
        description: 'What the path begins with that is no folder below `root`.',
      }),
    ),
    index: Type.Array(Type.String({ pattern: '^[^/\\\\]+$' }), {
      default: ['index.html'],
      description: 'The files that stand for their folder, the first that is there.',
    }),
    fallback: Type.Optional(
      Type.String({
        pattern: '^/.*[^/]$',
        description:
          'The file below `root` that is served for paths without one, as single-page applications want it.',
      }),
    ),
    precompressed: Type.Array(Type.Enum(['br', 'zstd', 'gzip']), {
      default: ['br', 'zstd', 'gzip'],
      uniqueItems: true,
      description:
        'The codings for which a compressed file may lie beside the original, as `.br`, `.zst` or `.gz`.',
    }),
    dotfiles: Type.Boolean({
      default: false,
      description:
        'Serve files and folders whose names begin with a dot. `.well-known` is served in any case.',
    }),
    symlinks: Type.Enum(['inside', 'deny', 'follow'], {
      default: 'inside',
      description: 'Where symbolic links may lead: to what is below `root`, nowhere, or anywhere.',
    }),
    cache_control: Type.Optional(
      Type.String({ minLength: 1, pattern: '^[\\t -~]+$', description: 'The `Cache-Control` of the files.' }),
    ),
    types: Type.Record(Type.String({ minLength: 1, pattern: '^[\\t -~]+$' }), {
      default: {},
      description: 'Media types by extension, beside the usual ones: `{ "wgsl": "text/wgsl" }`.',
    }),
    pass_missing: Type.Boolean({
      default: false,
      description: 'Let requests for which there is no file go on to the Upstream.',
    }),
  },
  { additionalProperties: false },
);

type Config = Static<typeof config>;

const SUFFIXES = { br: '.br', zstd: '.zst', gzip: '.gz' } as const;
const ABSENT = reply(404, undefined, { reason: 'no_file' });
const FORBIDDEN = reply(403, undefined, { reason: 'file_forbidden' });
const ONLY_READ = reply(405, undefined, { headers: [['Allow', 'GET, HEAD']], reason: 'method_not_allowed' });

/** A file to send, and how it is encoded. */
interface Found {
  readonly file: OpenFile;
  /** The name of the file as it is without its coding. */
  readonly name: string;
  readonly coding: keyof typeof SUFFIXES | undefined;
}

export const staticFiles = definePlugin({
  name: 'static-files',
  summary: 'Serves the files of a folder.',
  priority: 950,
  config,
  create(config, kit) {
    const fallback = config.fallback === undefined ? undefined : namesOf(config.fallback, true);
    return {
      async access(exchange): Promise<Outcome> {
        const outcome = await find(exchange, config, fallback);
        if (outcome === undefined || 'status' in outcome) return outcome;
        return answer(exchange, outcome, config, kit.clock.now());
      },
    };
  },
});

/** Finds the file for a request, or says what else is to be answered; undefined lets it go on. */
async function find(
  exchange: AccessExchange,
  config: Config,
  fallback: readonly string[] | undefined,
): Promise<Found | Reply | undefined> {
  const { method } = exchange.request;
  const read = method === 'GET' || method === 'HEAD';
  if (!read) return config.pass_missing ? undefined : ONLY_READ;
  const names = namesOf(pathOf(exchange, config), config.dotfiles);
  const found = names === undefined ? 'absent' : await findNames(exchange, names, config);
  if (found === 'forbidden') return FORBIDDEN;
  if (found !== 'absent') return found;
  if (fallback !== undefined) {
    const instead = await findNames(exchange, fallback, config);
    if (typeof instead !== 'string') return instead;
  }
  return config.pass_missing ? undefined : ABSENT;
}

/** The path below `root`, as Plugins before this one may have rewritten it. */
function pathOf({ upstream }: AccessExchange, { strip_prefix: prefix }: Config): string {
  const { path } = upstream;
  if (prefix === undefined) return path;
  const bare = prefix.replace(/\/+$/, '');
  return path === bare || path.startsWith(`${bare}/`) ? path.slice(bare.length) || '/' : path;
}

async function findNames(
  exchange: AccessExchange,
  names: readonly string[],
  config: Config,
): Promise<Found | Reply | 'absent' | 'forbidden'> {
  const { root, symlinks } = config;
  const folder = names.at(-1) === '' ? names.slice(0, -1) : undefined;
  if (folder !== undefined) {
    for (const index of config.index) {
      const found = await openVariant(exchange, [...folder, index], config);
      if (typeof found !== 'string') return found;
      if (found === 'forbidden') return found;
    }
    return 'absent';
  }
  const found = await openVariant(exchange, names, config);
  if (found !== 'directory') return found;
  // Relative links in its index would lead astray; no redirect to what has nothing to show.
  for (const index of config.index) {
    const opened = await openFile(root, [...names, index], symlinks);
    if (typeof opened === 'string') continue;
    await opened.handle.close();
    return toFolder(exchange);
  }
  return 'absent';
}

function toFolder({ request }: AccessExchange): Reply {
  // Two slashes at the beginning would name another host.
  const path = request.path.replace(/^[/\\]+/, '/');
  const location = `${path}/${request.query === '' ? '' : `?${request.query}`}`;
  return reply(301, undefined, { headers: [['Location', location]], reason: 'to_folder' });
}

/** Opens a file, or in its place one of its compressed variants that the client likes better. */
async function openVariant(
  { request }: AccessExchange,
  names: readonly string[],
  { root, symlinks, precompressed }: Config,
): Promise<Found | 'directory' | 'absent' | 'forbidden'> {
  const name = names.at(-1)!;
  const file = await openFile(root, names, symlinks);
  if (typeof file === 'string') return file;
  const accepted = parseAcceptEncoding(request.headerValues('accept-encoding').join(','));
  const codings = precompressed
    .map((coding, rank) => ({ coding, rank, weight: accepted.weight(coding) }))
    .filter(({ weight }) => weight > 0 && weight >= accepted.identity)
    .sort((one, other) => other.weight - one.weight || one.rank - other.rank);
  for (const { coding } of codings) {
    const path = [...names.slice(0, -1), name + SUFFIXES[coding]];
    const variant = await openFile(root, path, symlinks).catch(() => 'absent' as const);
    if (typeof variant === 'string') continue;
    await file.handle.close();
    return { file: variant, name, coding };
  }
  return { file, name, coding: undefined };
}

/** Answers with a file, a part of it, or that the client has it already. */
function answer({ request }: AccessExchange, found: Found, config: Config, now: number): Reply {
  const { file, name, coding } = found;
  const { size, handle } = file;
  const close = (): void => void handle.close().catch(() => {});
  const version: Version = {
    etag: `"${file.modified.toString(36)}-${size.toString(36)}${coding === undefined ? '' : `-${coding}`}"`,
    modifiedSeconds: Math.min(Number(file.modified / 1_000_000_000n), Math.floor(now / 1000)),
  };
  const headers: [string, string][] = [
    ['ETag', version.etag],
    ['Last-Modified', new Date(version.modifiedSeconds * 1000).toUTCString()],
  ];
  if (config.cache_control !== undefined) headers.push(['Cache-Control', config.cache_control]);
  if (config.precompressed.length > 0) headers.push(['Vary', 'Accept-Encoding']);
  const status = preconditionStatus(request, version);
  if (status !== undefined) {
    close();
    return reply(status, undefined, { headers });
  }
  headers.push(['Accept-Ranges', 'bytes']);
  const range = request.method === 'GET' ? requestedRange(request, version, size) : undefined;
  if (range === 'unsatisfiable') {
    close();
    return reply(416, undefined, { headers: [...headers, ['Content-Range', `bytes */${size}`]] });
  }
  headers.push(['Content-Type', mediaTypeOf(name, config.types)], ['X-Content-Type-Options', 'nosniff']);
  if (coding !== undefined) headers.push(['Content-Encoding', coding]);
  if (range === undefined) return streamedReply(200, new FileSource(handle, 0, size), { headers });
  headers.push(['Content-Range', `bytes ${range.start}-${range.end - 1}/${size}`]);
  return streamedReply(206, new FileSource(handle, range.start, range.end), { headers });
}
