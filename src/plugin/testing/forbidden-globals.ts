// While a Plugin runs under test, the globals through which it could reach time, chance or the
// network by itself throw. What is forbidden follows the call, not the clock: a test's own code,
// another test at the same time and Node itself go on as ever.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { LogLine } from './log-line.ts';

/** What one run of a Plugin's code left behind; runs may overlap. */
export interface RunRecord {
  readonly plugin: string;
  readonly delays: number[];
  readonly lines: LogLine[];
}

const inPlugin = new AsyncLocalStorage<RunRecord>();
let users = 0;
let restore: (() => void) | undefined;

/** Runs a Plugin's code with the forbidden globals throwing, also after its awaits. */
export function runForbidding<T>(record: RunRecord, code: () => T): T {
  return inPlugin.run(record, code);
}

/** The record of the run that is calling, or undefined outside of one. */
export function currentRun(): RunRecord | undefined {
  return inPlugin.getStore();
}

/** Runs the test's own code that a Plugin calls (an injected Clock, an Upstream's stand-in). */
export function runAllowing<T>(code: () => T): T {
  return inPlugin.exit(code);
}

/** Takes hold of the globals until the returned value is disposed of. */
export function holdGlobals(): Disposable {
  if (users++ === 0) restore = replaceGlobals();
  return {
    [Symbol.dispose]() {
      if (--users === 0) restore?.();
    },
  };
}

function forbid(name: string, instead: string): void {
  const record = inPlugin.getStore();
  if (record === undefined) return;
  throw new Error(
    `plugin ${record.plugin} called ${name}; use ${instead}, so that it can be evaluated without side effects`,
  );
}

function replaceGlobals(): () => void {
  const undo: (() => void)[] = [];
  const replace = (holder: object, name: string, replacement: unknown) => {
    const original = Object.getOwnPropertyDescriptor(holder, name);
    Object.defineProperty(holder, name, { value: replacement, writable: true, configurable: true });
    undo.push(() => {
      if (original === undefined) Reflect.deleteProperty(holder, name);
      else Object.defineProperty(holder, name, original);
    });
  };
  const guard = (holder: object, name: string, label: string, instead: string) => {
    const original = Reflect.get(holder, name);
    replace(
      holder,
      name,
      new Proxy(original, {
        apply(target, self, args) {
          forbid(label, instead);
          return Reflect.apply(target, self, args);
        },
      }),
    );
  };

  guard(Date, 'now', 'Date.now()', 'kit.clock.now()');
  replace(
    globalThis,
    'Date',
    new Proxy(Date, {
      construct(target, args, newTarget) {
        if (args.length === 0) forbid('new Date()', 'kit.clock.now()');
        return Reflect.construct(target, args, newTarget);
      },
      apply(target, self, args) {
        forbid('Date()', 'kit.clock.now()');
        return Reflect.apply(target, self, args);
      },
    }),
  );
  guard(performance, 'now', 'performance.now()', 'kit.clock.monotonic()');
  guard(process.hrtime, 'bigint', 'process.hrtime.bigint()', 'kit.clock.monotonic()');
  guard(process, 'hrtime', 'process.hrtime()', 'kit.clock.monotonic()');
  guard(Math, 'random', 'Math.random()', 'kit.random()');
  guard(crypto, 'randomUUID', 'crypto.randomUUID()', 'kit.random()');
  guard(crypto, 'getRandomValues', 'crypto.getRandomValues()', 'kit.random()');
  guard(globalThis, 'fetch', 'fetch()', 'the Kit');
  for (const name of ['setTimeout', 'setInterval', 'setImmediate']) {
    guard(globalThis, name, `${name}()`, 'kit.delay()');
  }
  return () => {
    for (const step of undo.reverse()) step();
  };
}
