import { Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';

export const proxyControl = definePlugin({
  name: 'proxy-control',
  summary: 'Says whether the body of a request is taken whole before it goes on.',
  priority: 21990,
  config: Type.Object({
    request_buffering: Type.Boolean({
      default: true,
      description:
        'Take the whole body before the Upstream is asked. Without this Plugin, and with `false`, it passes as it comes.',
    }),
  }),
  needsBody: ({ request_buffering: buffering }) => (buffering ? 'request' : undefined),
  create: () => ({}),
});
