// The order in which Plugins run is numbers in many files. Here it is one text, so that a change of
// order is a diff someone reads. After a change that is meant: UPDATE_ORDER=1 node --test src/plugins/order.test.ts

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { validate } from '../lib/json-schema.ts';
import type { Value } from '../model/resource.ts';
import type { Handlers, Plugin } from '../plugin/define-plugin.ts';
import { bind } from '../plugin/testing.ts';
import { plugins } from './index.ts';

const PHASES = [
  'rewrite',
  'access',
  'beforeProxy',
  'responseHeaders',
  'responseBody',
  'log',
] as const satisfies readonly (keyof Handlers)[];

const ORDER = new URL('./order.txt', import.meta.url);

interface Example {
  readonly routes: readonly { readonly plugins?: Readonly<Record<string, Value>> }[];
}

/** The configs of a Plugin in its own example; which phases there are can depend on the config. */
function exampleConfigs(plugin: Plugin): Value[] {
  const text = readFileSync(new URL(`./${plugin.name}/example.yaml`, import.meta.url), 'utf8');
  const { routes } = parse(text) as Example;
  return routes.map((route) => route.plugins?.[plugin.name]).filter((config) => config !== undefined);
}

function effectiveOrder(): string {
  const inOrder = [...plugins].sort((one, other) => other.priority - one.priority);
  const used = new Map(
    inOrder.map((plugin) => [
      plugin,
      new Set(exampleConfigs(plugin).flatMap((config) => Object.keys(bind(plugin, config).handlers))),
    ]),
  );
  const lines = ['In each phase, from first to last: priority and name.'];
  const add = (title: string, members: readonly Plugin[]) => {
    if (members.length === 0) return;
    lines.push('', title, ...members.map(({ name, priority }) => `${String(priority).padStart(7)}  ${name}`));
  };
  for (const phase of PHASES) {
    add(
      phase,
      inOrder.filter((plugin) => used.get(plugin)?.has(phase)),
    );
  }
  add(
    'in no phase',
    inOrder.filter((plugin) => !PHASES.some((phase) => used.get(plugin)?.has(phase))),
  );
  return `${lines.join('\n')}\n`;
}

test('the effective order of all Plugins is the one in order.txt', () => {
  const order = effectiveOrder();
  if (process.env.UPDATE_ORDER) writeFileSync(ORDER, order);
  assert.equal(order, readFileSync(ORDER, 'utf8'));
});

test('no two Plugins have the same priority, which would leave their order to chance', () => {
  const byPriority = new Map(plugins.map((plugin) => [plugin.priority, plugin.name]));
  assert.equal(byPriority.size, plugins.length);
});

test('the list of Plugins is in order of priority', () => {
  const priorities = plugins.map(({ priority }) => priority);
  assert.deepEqual(
    priorities,
    [...priorities].sort((one, other) => other - one),
  );
});

test('every Plugin has an example that it accepts', () => {
  for (const plugin of plugins) {
    const configs = exampleConfigs(plugin);
    assert.ok(configs.length > 0, `${plugin.name}/example.yaml does not configure ${plugin.name}`);
    for (const config of configs) {
      assert.equal(validate(plugin.config, config)?.message, undefined, plugin.name);
      bind(plugin, config);
    }
  }
});
