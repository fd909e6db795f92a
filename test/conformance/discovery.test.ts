// What every registry must do, whatever it is: one suite for all of them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { discoveries } from '../../src/discovery/index.ts';
import { withDefaults } from '../../src/lib/json-schema.ts';
import type { DiscoveredTarget } from '../../src/model/discovery.ts';
import type { Scope } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { type Registry, registries } from '../support/registries.ts';

/** Follows a service, with time that passes faster and is written down. */
function follow(scope: Scope, registry: Registry, service: string, random = 0.5) {
  const definition = discoveries.find(({ name }) => name === registry.type)!;
  const pauses: number[] = [];
  const discovery = definition.create(withDefaults(definition.config, registry.settings) as never, {
    async delay(milliseconds, signal) {
      pauses.push(milliseconds);
      await sleep(Math.min(milliseconds, 20), undefined, { signal }).catch(() => {});
    },
    random: () => random,
    environment: {},
    dnsServers: [],
    folder: '/',
  });
  const seen = {
    targets: undefined as readonly DiscoveredTarget[] | undefined,
    problem: undefined as string | undefined,
  };
  let stopped = false;
  const end = discovery.watch(registry.nameOf(service), {
    onTargets(targets) {
      assert.ok(!stopped, 'told after it was to stop');
      seen.targets = targets;
    },
    onTrouble(problem) {
      assert.ok(!stopped, 'told after it was to stop');
      seen.problem = problem;
    },
  });
  const stop = (): void => {
    stopped = true;
    end();
  };
  scope.after(stop);
  const has = (what: string, ...wanted: string[]) =>
    eventually(`${what}: ${wanted.join()}`, () => {
      const shown = seen.targets?.map(({ host, port, weight }) =>
        registry.hasWeights ? `${host}:${port}*${weight}` : `${host}:${port}`,
      );
      const expected = registry.hasWeights ? wanted : wanted.map((text) => text.replace(/\*.*/, ''));
      return shown !== undefined && shown.sort().join() === expected.sort().join();
    });
  return { seen, pauses, has, stop };
}

for (const [type, start] of Object.entries(registries)) {
  describe(`discovery by ${type}`, { concurrency: 4 }, () => {
    test('a service appears, changes weights, loses a Target, and disappears', async (t) => {
      const registry = await start(t);
      const { has } = follow(t, registry, 'orders');
      await has('unknown');
      registry.set('orders', [
        { host: '10.0.0.1', port: 80, weight: 1 },
        { host: '10.0.0.2', port: 80, weight: 1 },
      ]);
      await has('appeared', '10.0.0.1:80*1', '10.0.0.2:80*1');
      registry.set('orders', [
        { host: '10.0.0.1', port: 80, weight: 1 },
        { host: '10.0.0.2', port: 80, weight: 9 },
      ]);
      await has('other weights', '10.0.0.1:80*1', '10.0.0.2:80*9');
      registry.set('orders', [{ host: '10.0.0.2', port: 80, weight: 9 }]);
      await has('one less', '10.0.0.2:80*9');
      registry.set('orders', []);
      await has('gone');
    });

    test('services are told apart', async (t) => {
      const registry = await start(t);
      registry.set('orders', [{ host: '10.0.0.1', port: 80 }]);
      registry.set('users', [{ host: '10.0.0.2', port: 81 }]);
      const orders = follow(t, registry, 'orders');
      const users = follow(t, registry, 'users');
      await orders.has('orders', '10.0.0.1:80*1');
      await users.has('users', '10.0.0.2:81*1');
    });

    test('an outage keeps the last good set, is told, and ends as soon as the registry is back', async (t) => {
      const registry = await start(t);
      registry.set('orders', [{ host: '10.0.0.1', port: 80 }]);
      const { seen, has } = follow(t, registry, 'orders');
      await has('known', '10.0.0.1:80*1');
      await registry.down();
      await eventually('trouble is told', () => seen.problem);
      await has('kept', '10.0.0.1:80*1');
      registry.set('orders', [{ host: '10.0.0.2', port: 80 }]);
      await registry.up();
      await has('news', '10.0.0.2:80*1');
      await eventually('trouble is over', () => seen.problem === undefined);
    });

    test('a registry that is down at the start is found as soon as it is there, without a busy loop', async (t) => {
      const registry = await start(t);
      registry.set('orders', [{ host: '10.0.0.1', port: 80 }]);
      await registry.down();
      const { seen, has, pauses } = follow(t, registry, 'orders');
      await eventually('it is asked again and again', () => pauses.length > 8);
      assert.equal(seen.targets, undefined, 'nothing is known, which is not the same as no Targets');
      assert.ok(seen.problem !== undefined);
      for (const pause of pauses) assert.ok(pause >= 250, `${pause} ms`);
      if (type !== 'file') {
        assert.ok(pauses[7] > pauses[0], 'pauses grow');
        assert.ok(Math.max(...pauses) <= 15_000);
        const lucky = follow(t, registry, 'orders', 0);
        await eventually('another asks, too', () => lucky.pauses.length > 2);
        assert.notDeepEqual(lucky.pauses.slice(0, 2), pauses.slice(0, 2), 'not all ask at the same time');
      }
      await registry.up();
      await has('known', '10.0.0.1:80*1');
    });

    test('whoever has stopped hears nothing more', async (t) => {
      const registry = await start(t);
      registry.set('orders', [{ host: '10.0.0.1', port: 80 }]);
      const one = follow(t, registry, 'orders');
      const other = follow(t, registry, 'orders');
      await one.has('known', '10.0.0.1:80*1');
      one.stop();
      registry.set('orders', [{ host: '10.0.0.2', port: 80 }]);
      await other.has('news', '10.0.0.2:80*1');
    });
  });
}
