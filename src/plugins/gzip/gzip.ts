import { Type } from '../../lib/schema.ts';
import { compress, compressionFields } from '../../plugin/compression.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';

export const gzip = definePlugin({
  name: 'gzip',
  summary: 'Compresses answers with gzip for clients that accept it.',
  priority: 995,
  config: Type.Object({
    types: compressionFields.types,
    min_length: compressionFields.min_length,
    comp_level: Type.Integer({
      minimum: 1,
      maximum: 9,
      default: 1,
      description: 'How hard to try: 1 is the fastest, 9 makes the smallest bodies.',
    }),
    http_version: compressionFields.http_version,
    buffers: Type.Object(
      {
        number: Type.Integer({ minimum: 1, default: 32, description: 'Accepted and not used.' }),
        size: Type.Integer({ minimum: 1, default: 4096, description: 'Accepted and not used.' }),
      },
      {
        default: { number: 32, size: 4096 },
        description: "nginx's buffers. Accepted and not used: bodies are compressed as they pass.",
      },
    ),
    vary: compressionFields.vary,
  }),
  create(config) {
    const { createGzip, constants } = process.getBuiltinModule('node:zlib');
    const compression = {
      coding: 'gzip',
      create: () => createGzip({ level: config.comp_level }),
      flush: constants.Z_SYNC_FLUSH,
    } as const;
    return { responseHeaders: (exchange) => compress(exchange, config, compression) };
  },
});
