import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Consumer } from '../plugin/consumer.ts';
import { definePlugin } from '../plugin/define-plugin.ts';
import type { Kit, Place } from '../plugin/kit.ts';
import type { Binding, BindingMeta } from './binding.ts';
import { compilePipeline } from './compile-pipeline.ts';

const jane: Consumer = { username: 'jane', groupId: undefined, labels: {}, customId: undefined };

function binding(name: string, priority: number, kind: Place['kind'], meta: BindingMeta = {}): Binding {
  const plugin = definePlugin({
    name,
    summary: '',
    priority,
    config: {},
    create: () => ({ rewrite() {}, access() {} }),
  });
  return { plugin, config: {}, meta, priority, place: { kind, id: 'x' } };
}

function stepsFor(route: readonly Binding[], consumer: readonly Binding[]): string[] {
  const pipeline = compilePipeline(
    { key: 'r', globalRules: [], service: [], pluginConfig: [], route },
    { kitFor: () => ({}) as Kit, consumerBindings: () => consumer },
  );
  const { steps } = pipeline.secondFor(jane);
  return (steps ?? []).map(({ phase, plugin, place }) => `${phase} ${plugin} ${place}`);
}

test("runs what a Consumer brings by priority, its rewrite first, then everybody's access", () => {
  const route = [binding('a', 5, 'routes'), binding('b', 3, 'routes')];
  const consumer = [
    binding('low', 1, 'consumers'),
    binding('b', 9, 'consumers'),
    binding('also', 1, 'consumers'),
  ];
  assert.deepEqual(stepsFor(route, consumer), [
    'rewrite b consumers/x',
    'rewrite also consumers/x',
    'rewrite low consumers/x',
    'access b consumers/x',
    'access a routes/x',
    'access also consumers/x',
    'access low consumers/x',
  ]);
});

test('keeps a Binding that a Consumer disables out of every phase', () => {
  const route = [binding('a', 5, 'routes'), binding('b', 3, 'routes')];
  assert.deepEqual(stepsFor(route, [binding('a', 5, 'consumers', { disable: true })]), ['access b routes/x']);
});
