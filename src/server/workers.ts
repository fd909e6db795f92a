// The workers: as many threads as asked for, replaced when they die, told of every Change.

import { randomInt } from 'node:crypto';
import { createServer, isIPv6 } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { Change } from '../model/change.ts';
import type { DiscoveredSet } from '../model/discovery.ts';
import type { GaugeReading } from '../model/gauge.ts';
import type { Listener } from '../model/listener.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { TlsMaterial } from '../model/tls-material.ts';
import type { Logger } from '../plugin/kit.ts';
import type { SharedState, SharedStateBuffers } from '../state/memory/shared-state.ts';
import type { Readiness } from '../telemetry/status-answer.ts';
import type { GeoBytes } from './geo-files.ts';
import type { FromWorker, TlsStart, ToWorker, WorkerStart } from './messages.ts';
import type { PluginFile } from './plugin-files.ts';
import { type HandedSocket, type Predecessor, socketName } from './predecessor.ts';
import { watchPulse } from './watchdog.ts';

export interface WorkersOptions {
  readonly count: number;
  readonly start: Omit<
    WorkerStart,
    | 'number'
    | 'incarnation'
    | 'ring'
    | 'pulse'
    | 'state'
    | 'revision'
    | 'resources'
    | 'discovered'
    | 'reusePort'
    | 'handed'
    | 'pluginFiles'
    | 'tls'
  >;
  readonly tls: TlsStart;
  readonly buffers: SharedStateBuffers;
  readonly state: SharedState;
  /** What the workers serve; read whenever one starts. */
  readonly snapshot: Snapshot;
  readonly pluginFiles: readonly PluginFile[];
  readonly log: Logger;
  readonly predecessor: Predecessor;
  /** A Plugin shows a number in the metrics. */
  onGauge(reading: GaugeReading): void;
  /** Makes the memory for a worker's records; undefined without telemetry. */
  ringFor(worker: number): SharedArrayBuffer | undefined;
  /** The Targets of services as known now; asked for whenever a worker starts. */
  discovered(): readonly DiscoveredSet[];
  /** `readiness` may have changed. */
  onChange?(): void;
}

interface Running {
  readonly number: number;
  readonly thread: Worker;
  /** The revision that it last said it serves. */
  revision: number;
  readonly since: number;
  /** It has compiled the configuration and accepts traffic. */
  ready: boolean;
  /** Since when it serves an older revision than it was told of. */
  behindSince: number | undefined;
  /** Of the TLS material that it last said it uses. */
  tlsSerial: number;
  /** Its sockets, by Listener. */
  fds: readonly (readonly number[])[];
}

/** A worker that dies sooner than this was not fit to live: the next one waits a little. */
const SHORT_LIFE_MS = 2_000;
const RESTART_DELAY_MS = 500;
/** An Admin answer waits for the workers at most so long; they are told in any case. */
const ACKNOWLEDGE_MS = 1_000;
/** Every worker is behind for the moment that a Change takes; one that is for longer doesn't serve it. */
const LAG_MS = 5_000;

export class Workers {
  readonly #options: WorkersOptions;
  readonly #running = new Map<number, Running>();
  readonly #waiting = new Set<{ served: (worker: Running) => boolean; resolve: () => void }>();
  #tls: TlsStart;
  #tlsSerial = 0;
  #ports: readonly number[] = [];
  /** By Listener the sockets of the process before this one; undefined where it had none. */
  #handed: readonly (HandedSocket | undefined)[] = [];
  #listeners: readonly Listener[] = [];
  #pluginFiles: readonly PluginFile[];
  #geo: GeoBytes;
  #stopping = false;
  restarts = 0;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#pluginFiles = options.pluginFiles;
    this.#geo = options.start.geo;
    this.#tls = options.tls;
  }

  /** The ports listened on, in the order of the listeners. */
  get ports(): readonly number[] {
    return this.#ports;
  }

  /** Every worker serves the current revision. */
  get ready(): boolean {
    const { revision } = this.#options.snapshot;
    return (
      this.#running.size === this.#options.count &&
      [...this.#running.values()].every((worker) => worker.revision >= revision)
    );
  }

  /** Whether every worker serves the configuration, with APISIX's words where one doesn't. */
  get readiness(): Readiness {
    if (this.#stopping) return { ready: false, error: 'stopping' };
    const workers = [...this.#running.values()];
    const { count } = this.#options;
    const ready = workers.filter((worker) => worker.ready);
    if (ready.length !== count)
      return { ready: false, error: `worker count: ${count} but status report count: ${ready.length}` };
    const late = workers.find(
      ({ behindSince }) => behindSince !== undefined && performance.now() - behindSince > LAG_MS,
    );
    if (late === undefined) return { ready: true };
    return { ready: false, error: `worker id: ${late.number} has not received configuration` };
  }

  /** The databases of places that they have. */
  get geo(): GeoBytes {
    return this.#geo;
  }

  get revisions(): readonly { readonly worker: number; readonly revision: number }[] {
    return [...this.#running.values()].map(({ number, revision }) => ({ worker: number, revision }));
  }

  /** Resolves when all of them accept traffic; rejects when one can't. */
  async start(): Promise<void> {
    const { count, start } = this.#options;
    const { predecessor } = this.#options;
    this.#handed = start.listeners.map((listener) => predecessor.take(nameOf(listener)));
    // A free port is chosen once, for all.
    this.#listeners = await Promise.all(
      start.listeners.map((listener, index) => {
        const handed = this.#handed[index];
        return handed === undefined ? assertFree(listener) : { ...listener, port: handed.port };
      }),
    );
    await Promise.all(Array.from({ length: count }, (_, index) => this.#launch(index + 1)));
    // One that is replaced makes a socket of its own: those that were handed over went with the first.
    this.#handed = [];
  }

  /** All that the workers listen with, to be handed to the next process. */
  get sockets(): readonly HandedSocket[] {
    const workers = [...this.#running.values()].filter(({ ready }) => ready);
    return this.#options.start.listeners.map((listener, index) => ({
      name: nameOf(listener),
      port: this.#ports[index],
      fds: workers.flatMap(({ fds }) => fds[index]),
    }));
  }

  /** Tells all workers; resolves when they serve it. */
  broadcast(change: Change): Promise<void> {
    for (const running of this.#running.values()) running.behindSince ??= performance.now();
    this.#tell({ type: 'change', change });
    return this.#until((worker) => worker.revision >= change.revision);
  }

  /** Gives all workers, also those to come, other keys, certificates and challenges; resolves when they use them. */
  useTls(material: TlsMaterial): Promise<void> {
    const serial = ++this.#tlsSerial;
    this.#tls = { ...this.#tls, material };
    this.#tell({ type: 'tls', serial, material });
    return this.#until((worker) => worker.tlsSerial >= serial);
  }

  #tell(message: ToWorker): void {
    for (const { thread } of this.#running.values()) thread.postMessage(message);
  }

  /** Resolves when it holds for all workers, or after a while. */
  #until(served: (worker: Running) => boolean): Promise<void> {
    if ([...this.#running.values()].every(served)) return Promise.resolve();
    return new Promise((resolve) => {
      const entry = {
        served,
        resolve: () => {
          clearTimeout(timer);
          this.#waiting.delete(entry);
          resolve();
        },
      };
      const timer = setTimeout(entry.resolve, ACKNOWLEDGE_MS);
      this.#waiting.add(entry);
    });
  }

  /** Brings the Targets of a service to all workers. Those to come ask for themselves. */
  rediscover(set: DiscoveredSet): void {
    for (const { thread } of this.#running.values())
      thread.postMessage({ type: 'discovered', set } satisfies ToWorker);
  }

  /** Brings the new text of a file of Plugins to all workers, also those to come. */
  reloadPlugin(file: PluginFile): void {
    this.#pluginFiles = this.#pluginFiles.map((old) => (old.path === file.path ? file : old));
    this.#tell({ type: 'reload-plugin', file });
  }

  /** Brings changed databases of places to all workers, also those to come. */
  reloadGeo(geo: GeoBytes): void {
    this.#geo = geo;
    for (const { thread } of this.#running.values()) {
      thread.postMessage({ type: 'geo', geo } satisfies ToWorker);
    }
  }

  /** Lets them finish what they serve, at most `graceMs` after `lullMs` (see DataPlane.drain), and ends them. */
  async stop(graceMs: number, lullMs = 0): Promise<void> {
    this.#stopping = true;
    this.#options.onChange?.();
    const threads = [...this.#running.values()].map(({ thread }) => thread);
    await Promise.all(
      threads.map(
        (thread) =>
          new Promise<void>((resolve) => {
            const timer = setTimeout(() => void thread.terminate(), lullMs + graceMs + 1_000);
            thread.once('exit', () => {
              clearTimeout(timer);
              resolve();
            });
            thread.postMessage({ type: 'drain', graceMs, lullMs } satisfies ToWorker);
          }),
      ),
    );
  }

  #launch(number: number): Promise<void> {
    const { start, buffers, state, snapshot, ringFor, count, log } = this.#options;
    const data: WorkerStart = {
      ...start,
      listeners: this.#listeners,
      number,
      incarnation: state.membership.admit(number),
      state: buffers,
      ring: ringFor(number),
      pulse: start.watchdogMs > 0 ? new SharedArrayBuffer(4) : undefined,
      // Also alone: the next process may have more workers, and a port is shared from its first socket on or never.
      reusePort: count > 1 || process.platform === 'linux',
      handed: this.#listeners.map(
        (_, index) => this.#handed[index]?.fds.filter((_, place) => place % count === number - 1) ?? [],
      ),
      pluginFiles: this.#pluginFiles,
      geo: this.#geo,
      tls: this.#tls,
      revision: snapshot.revision,
      resources: snapshot.all(),
      discovered: this.#options.discovered(),
    };
    const thread = new Worker(new URL('./worker-thread.ts', import.meta.url), {
      name: `worker-${number}`,
      workerData: data,
    });
    const running: Running = {
      number,
      thread,
      revision: data.revision,
      since: performance.now(),
      ready: false,
      behindSince: undefined,
      tlsSerial: this.#tlsSerial,
      fds: [],
    };
    this.#running.set(number, running);
    return new Promise((resolve, reject) => {
      let ready = false;
      let stopWatching: (() => void) | undefined;
      thread.on('message', (message: FromWorker) => {
        switch (message.type) {
          case 'ready':
            ready = running.ready = true;
            this.#options.onChange?.();
            if (data.pulse !== undefined) {
              stopWatching = watchPulse(data.pulse, data.watchdogMs, () => {
                log.error(`worker ${number} has stood still for ${data.watchdogMs / 1000} s and is ended`);
                void thread.terminate();
              });
            }
            this.#ports = message.ports;
            running.fds = message.fds;
            resolve();
            return;
          case 'failed':
            reject(new Error(message.message));
            return;
          case 'applied':
            running.revision = message.revision;
            if (running.revision >= snapshot.revision) running.behindSince = undefined;
            this.#onApplied();
            return;
          case 'gauge':
            this.#options.onGauge(message.reading);
            return;
          case 'tls-used':
            running.tlsSerial = message.serial;
            this.#onApplied();
            return;
          case 'log':
            log[message.level](message.message, { worker: number, ...message.fields });
        }
      });
      thread.on('error', (error: Error) =>
        log.error(`worker ${number} failed: ${error.message}`, { stack: error.stack }),
      );
      thread.on('exit', (code) => {
        stopWatching?.();
        state.membership.dismiss(number);
        state.limits.releaseWorker(number);
        this.#running.delete(number);
        this.#onApplied();
        this.#options.onChange?.();
        if (!ready) reject(new Error(`worker ${number} ended before it was ready (code ${code})`));
        if (this.#stopping || !ready) return;
        log.error(`worker ${number} ended (code ${code}) and is replaced`);
        this.restarts++;
        this.#relaunch(number, performance.now() - running.since < SHORT_LIFE_MS ? RESTART_DELAY_MS : 0);
      });
    });
  }

  #relaunch(number: number, delayMs: number): void {
    setTimeout(() => {
      if (this.#stopping) return;
      this.#launch(number).catch((error: Error) => {
        this.#options.log.error(`worker ${number} can't be replaced: ${error.message}`);
        this.#relaunch(number, RESTART_DELAY_MS * 4);
      });
    }, delayMs);
  }

  #onApplied(): void {
    const workers = [...this.#running.values()];
    for (const entry of this.#waiting) if (workers.every(entry.served)) entry.resolve();
  }
}

function nameOf(listener: Listener): string {
  return socketName(`traffic ${listener.protocol === 'udp' ? 'udp' : 'tcp'}`, listener);
}

/** Ports that no system gives to outgoing connections: they can't be taken before the workers have them. */
const [FIRST_FREE, LAST_FREE] = [20_000, 26_000];
const FREE_ATTEMPTS = 20;

/**
 * Binds once without sharing, because a shared port would silently be split with whoever has it;
 * gives port 0 its number.
 */
async function assertFree(listener: Listener): Promise<Listener> {
  const { host, port } = listener;
  const probe = listener.protocol === 'udp' ? probeUdp : probeTcp;
  for (let attempt = 0; port === 0 && attempt < FREE_ATTEMPTS; attempt++) {
    const found = await probe(host, randomInt(FIRST_FREE, LAST_FREE)).catch(() => 0);
    if (found > 0) return { ...listener, port: found };
  }
  try {
    return { ...listener, port: await probe(host, port) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(
      code === 'EADDRINUSE'
        ? `${host}:${port} is in use by another program; choose another address or end that program`
        : `can't listen on ${host}:${port}: ${message}`,
    );
  }
}

function probeTcp(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ host, port }, () => {
      const address = probe.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      probe.close(() => resolve(bound));
    });
  });
}

async function probeUdp(host: string, port: number): Promise<number> {
  const { createSocket } = await import('node:dgram');
  return new Promise((resolve, reject) => {
    const probe = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    probe.once('error', reject);
    probe.bind({ address: host, port }, () => {
      const bound = probe.address().port;
      probe.close(() => resolve(bound));
    });
  });
}
