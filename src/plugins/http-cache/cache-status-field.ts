import type { Field } from '../../lib/http-caching/field-list.ts';
import type { CachingOutcome } from '../../plugin/caching/caching-rules.ts';

/** Cache-Status (RFC 9211). What caches before this one said stays in front. */
export function cacheStatusField(outcome: CachingOutcome): Field[] {
  const { forwarded, response, now } = outcome;
  const ttl =
    response === undefined
      ? ''
      : `; ttl=${Math.floor((response.lifetime - response.initialAge - (now - response.receivedAt)) / 1000)}`;
  if (forwarded === undefined) {
    const how = outcome.collapsed ? 'fwd=uri-miss; collapsed' : 'hit';
    const detail = outcome.status === 'updating' ? '; detail=stale-while-revalidate' : '';
    return [['Cache-Status', `Sluice; ${how}${ttl}${detail}`]];
  }
  if (outcome.status === 'stale') {
    return [['Cache-Status', `Sluice; hit${ttl}; detail=stale-if-error`]];
  }
  const status = outcome.upstreamStatus === undefined ? '' : `; fwd-status=${outcome.upstreamStatus}`;
  const stored = outcome.stored ? '; stored' : '';
  return [['Cache-Status', `Sluice; fwd=${forwarded}${status}${stored}`]];
}
