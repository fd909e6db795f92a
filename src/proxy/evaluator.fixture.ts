// Plugins that do one thing each, and an Evaluator of whatever resources a test writes down.

import { withDefaults } from '../lib/json-schema.ts';
import { Type } from '../lib/schema.ts';
import type { Kind, Value } from '../model/resource.ts';
import { Snapshot } from '../model/snapshot.ts';
import { definePlugin, type Plugin } from '../plugin/define-plugin.ts';
import { reply } from '../plugin/reply.ts';
import { NaiveBreakers, NaiveLimits, PlainNumbers } from '../plugin/testing.ts';
import { Evaluator } from './evaluator.ts';

const any = Type.Unsafe<Value>({ type: 'object' });

/** Recognises whoever sends `x-key`. */
const keyed = definePlugin({
  name: 'keyed',
  summary: '',
  priority: 2500,
  config: any,
  credential: { config: any, identity: (config) => String(config.key), identityField: 'key' },
  create: (_config, kit) => ({
    rewrite(exchange) {
      const match = kit.credentials.find(exchange.request.header('x-key') ?? '');
      if (match !== undefined) exchange.authenticate(match);
    },
  }),
});

const limited = definePlugin({
  name: 'limited',
  summary: '',
  priority: 1000,
  config: any,
  create: (config, kit) => ({
    async access(exchange) {
      const { count } = config as { count: number };
      await kit.delay(60_000);
      const verdict = await kit.limits.fixedWindow(
        `${kit.stateKey}:${exchange.consumer?.username}`,
        count,
        60,
        1,
      );
      return verdict.allowed ? undefined : reply(429, { left: verdict.remaining }, { reason: 'limited' });
    },
  }),
});

const set = definePlugin({
  name: 'set',
  summary: '',
  priority: 500,
  config: any,
  create: (config) => ({
    rewrite(exchange) {
      const { path, headers = {} } = config as { path?: string; headers?: Record<string, string> };
      if (path !== undefined) exchange.upstream.path = path;
      for (const [name, value] of Object.entries(headers)) exchange.request.setHeader(name, value);
    },
  }),
});

const dice = definePlugin({
  name: 'dice',
  summary: '',
  priority: 400,
  config: any,
  create: (_config, kit) => ({
    access: (exchange) =>
      reply(200, {
        random: kit.random(),
        now: kit.clock.now(),
        started: exchange.startedAt,
        id: exchange.id,
      }),
  }),
});

const broken = definePlugin({
  name: 'broken',
  summary: '',
  priority: 300,
  config: any,
  create: () => ({
    access() {
      throw new Error('out of order');
    },
  }),
});

const marks = definePlugin({
  name: 'marks',
  summary: '',
  priority: 200,
  config: any,
  needsBody: () => 'request',
  create: (_config, kit) => ({
    responseHeaders: (exchange) => exchange.response.setHeader('X-Mark', '1'),
    log: () => kit.log.error('the log phase must not run'),
  }),
});

const plugins: readonly Plugin[] = [keyed, limited, set, dice, broken, marks];

export function evaluator(
  resources: Readonly<Partial<Record<Kind, Readonly<Record<string, Value>>>>>,
): Evaluator {
  const snapshot = new Snapshot();
  const puts = Object.entries(resources).flatMap(([kind, values]) =>
    Object.entries(values).map(([id, value]) => ({
      kind: kind as Kind,
      id,
      workspace: 'default',
      createdRevision: 1,
      modifiedRevision: 1,
      value,
    })),
  );
  snapshot.apply({ revision: 7, puts, removals: [] });
  return new Evaluator(snapshot, {
    plugins,
    withDefaults: (schema, config) => withDefaults(schema, config) as Value,
    limits: { maxTarget: 200, maxFields: 20, maxHeadBytes: 8192, maxBodyBytes: 100, maxCollectedBytes: 100 },
    trusted: { has: (address) => address === '10.0.0.1' },
    ports: [9080, 81],
    clock: { now: () => 1_700_000_000_000, monotonic: () => 5_000 },
    createLimits: () => new NaiveLimits({ now: () => 0, monotonic: () => 0 }),
    shared: new PlainNumbers(),
    counters: 'empty',
    createBreakers: () => new NaiveBreakers({ now: () => 0, monotonic: () => 0 }),
    health: undefined,
    createBalancers:
      ({ turn }) =>
      (_value, _options, targets) => ({ pick: () => targets[turn() % targets.length] }),
  });
}
