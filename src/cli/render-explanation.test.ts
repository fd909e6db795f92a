import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Explanation } from '../proxy/explanation.ts';
import { renderExplanation } from './render-explanation.ts';

const refused: Explanation = {
  revision: 3,
  counters: 'empty',
  request: {
    method: 'GET',
    scheme: 'http',
    host: 'h',
    path: '/a',
    query: '',
    target: '/b/../a',
    client_address: '192.0.2.1',
    peer_address: '10.0.0.1',
    peer_trusted: true,
  },
  candidates: [
    {
      route: 'first',
      name: 'The first',
      host: 'h',
      uri: '/*',
      priority: 5,
      outcome: 'refused',
      predicate: 'methods',
      detail: 'GET is not among POST',
    },
    { route: 'r', name: '', host: null, uri: '/a', priority: 0, outcome: 'matched' },
  ],
  more_candidates: 2,
  route: { id: 'r', name: '', uri: '/a', service: null },
  consumer: {
    username: 'jane',
    group: 'gold',
    credential: 'c1',
    by: { plugin: 'key-auth', place: 'routes/r' },
  },
  chain: [
    {
      phase: 'rewrite',
      plugin: 'key-auth',
      priority: 2500,
      place: 'routes/r',
      outcome: 'passed',
      changes: ['a: b'],
    },
    { phase: 'access', plugin: 'p', priority: 1, place: 'services/s', outcome: 'replied', detail: '403 why' },
  ],
  buffers: { request: [{ plugin: 'p', place: 'services/s' }], response: [] },
  verdict: {
    type: 'reply',
    status: 403,
    headers: [['X-A', 'b']],
    body: 'no\x1b[31m way\n',
    encoding: 'utf-8',
    reason: 'why',
    by: { plugin: 'p', place: 'services/s' },
  },
  log: [{ level: 'warn', message: 'beware', fields: { a: 1 } }],
};

test('tells all of it in a table', () => {
  assert.equal(
    renderExplanation(refused, false),
    `request   GET http://h/a from 192.0.2.1 by way of 10.0.0.1, sent as /b/../a
routes       first (The first)  h/*  priority 5  refused by methods: GET is not among POST
          >  r                  /a               matched
            and 2 more
consumer  jane, of group gold, with credential c1, recognised by key-auth of routes/r
chain     rewrite  key-auth  2500  routes/r    passed; a: b
          access   p         1     services/s  replied; 403 why
buffers   request body, for p of services/s
verdict   reply 403 by p of services/s: why
            X-A: b
            no\ufffd[31m way
log       warn beware {"a":1}
by        revision 3, empty counters`,
  );
});

test('colours the same text', () => {
  const coloured = renderExplanation(refused, true);
  assert.notEqual(coloured, renderExplanation(refused, false));
  assert.equal(coloured.replace(/\x1b\[\d+m/g, ''), renderExplanation(refused, false));
});
