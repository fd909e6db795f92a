import { Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';

export const prometheus = definePlugin({
  name: 'prometheus',
  summary: 'Counts the requests of a Route in the metrics that Prometheus scrapes.',
  priority: 500,
  streams: true,
  config: Type.Object({
    prefer_name: Type.Boolean({
      default: false,
      description:
        'Label metrics with the names of Routes and Services instead of their ids, where they have one.',
    }),
  }),
  observe: (config) => ({ metrics: true, preferName: config.prefer_name }),
  // The telemetry makes metrics from the Exchange's record, so there is nothing left to do on the way.
  create: () => ({}),
});
