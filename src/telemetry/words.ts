// What telemetry keeps of each word that records name by number: made once when the word is learned,
// so that a line or a count per record only copies and looks up.

import type { RouteLabels } from '../state/memory/record-dictionary.ts';
import { jsonText } from './json-bytes.ts';
import type { CacheSeries, Series } from './metrics.ts';

/** A Consumer, a Target or a reason. */
export interface Word {
  readonly text: string;
  /** The inside of a JSON string. */
  readonly json: Buffer;
}

/** A Route with all that the configuration says of where its Exchanges go. */
export interface RouteWords {
  readonly labels: RouteLabels;
  /** `,"route_id":…` up to `,"consumer":"`. */
  readonly json: Buffer;
  /** The series of the last Exchange, and of others by Consumer and Target: a cache that `Metrics` keeps here. */
  last: LastSeries | undefined;
  readonly series: Map<Word, Map<Word, LastSeries>>;
  /** Exchanges by what a cache did, by the order of CACHE_STATUSES; undefined before the first. */
  cache: CacheSeries | undefined;
}

export interface LastSeries {
  readonly consumer: Word;
  readonly target: Word;
  readonly preferName: boolean;
  readonly series: Series;
}

export const telemetryWords = {
  text: (text: string): Word => ({ text, json: jsonText(text) }),
  labels: (labels: RouteLabels): RouteWords => ({
    labels,
    json: Buffer.concat([
      ...(
        [
          ['route_id', labels.routeId],
          ['route_name', labels.routeName],
          ['service_id', labels.serviceId],
          ['service_name', labels.serviceName],
          ['upstream_id', labels.upstreamId],
        ] as const
      ).flatMap(([name, value]) => [Buffer.from(`,"${name}":"`), jsonText(value), Buffer.from('"')]),
      Buffer.from(',"consumer":"'),
    ]),
    last: undefined,
    series: new Map(),
    cache: undefined,
  }),
};
