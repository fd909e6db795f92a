import { Type } from '../../lib/schema.ts';
import { compress, compressionFields } from '../../plugin/compression.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';

/** 2 MiB: a bound to the memory of each body under way. Clients must be able to take 8 (RFC 9659). */
const WINDOW_LOG = 21;

export const zstd = definePlugin({
  name: 'zstd',
  summary: 'Compresses answers with Zstandard for clients that accept it.',
  priority: 994,
  config: Type.Object({
    types: compressionFields.types,
    min_length: compressionFields.min_length,
    comp_level: Type.Integer({
      minimum: 1,
      maximum: 19,
      default: 3,
      description: 'How hard to try: 1 is the fastest, 19 makes the smallest bodies.',
    }),
    http_version: compressionFields.http_version,
    vary: compressionFields.vary,
  }),
  create(config) {
    const { createZstdCompress, constants } = process.getBuiltinModule('node:zlib');
    const params = {
      [constants.ZSTD_c_compressionLevel]: config.comp_level,
      [constants.ZSTD_c_windowLog]: WINDOW_LOG,
    };
    const compression = {
      coding: 'zstd',
      create: () => createZstdCompress({ params }),
      flush: constants.ZSTD_e_flush,
    } as const;
    return { responseHeaders: (exchange) => compress(exchange, config, compression) };
  },
});
