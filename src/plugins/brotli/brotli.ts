import { Type } from '../../lib/schema.ts';
import { compress, compressionFields } from '../../plugin/compression.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';

export const brotli = definePlugin({
  name: 'brotli',
  summary: 'Compresses answers with Brotli for clients that accept it.',
  priority: 996,
  config: Type.Object({
    types: compressionFields.types,
    min_length: compressionFields.min_length,
    mode: Type.Integer({
      minimum: 0,
      maximum: 2,
      default: 0,
      description: 'What bodies are: 0 anything, 1 text in UTF-8, 2 fonts in WOFF 2.0.',
    }),
    comp_level: Type.Integer({
      minimum: 0,
      maximum: 11,
      default: 6,
      description:
        'How hard to try: 0 is the fastest, 11 makes the smallest bodies and is too slow for most.',
    }),
    lgwin: Type.Enum([0, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24], {
      default: 19,
      description: 'The binary logarithm of how far back repetitions are found; 0 for the default.',
    }),
    lgblock: Type.Enum([0, 16, 17, 18, 19, 20, 21, 22, 23, 24], {
      default: 0,
      description: 'The binary logarithm of the largest block; 0 leaves it to the level.',
    }),
    http_version: compressionFields.http_version,
    vary: compressionFields.vary,
  }),
  create(config) {
    const { createBrotliCompress, constants } = process.getBuiltinModule('node:zlib');
    const params = {
      [constants.BROTLI_PARAM_MODE]: config.mode,
      [constants.BROTLI_PARAM_QUALITY]: config.comp_level,
      ...(config.lgwin > 0 && { [constants.BROTLI_PARAM_LGWIN]: config.lgwin }),
      ...(config.lgblock > 0 && { [constants.BROTLI_PARAM_LGBLOCK]: config.lgblock }),
    };
    const compression = {
      coding: 'br',
      create: () => createBrotliCompress({ params }),
      flush: constants.BROTLI_OPERATION_FLUSH,
    } as const;
    return { responseHeaders: (exchange) => compress(exchange, config, compression) };
  },
});
