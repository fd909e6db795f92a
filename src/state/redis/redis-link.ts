// One worker's connection to one Redis (or Valkey), cluster or master behind sentinels, for everything
// that is kept there. It connects by itself, one attempt at a time with growing and jittered pauses;
// while there is no connection, commands fail at once.

import type { Cluster, Redis } from 'ioredis';
import type { Logger } from '../../plugin/kit.ts';
import type { RedisSettings } from '../../plugin/redis-settings.ts';
import { Backoff } from './backoff.ts';
import { keySlot } from './key-slot.ts';
import { asCluster, type RedisClient } from './open-redis.ts';
import { RedisLane } from './redis-lane.ts';
import { RedisUnavailable } from './redis-unavailable.ts';

export interface RedisSurroundings {
  readonly log: Pick<Logger, 'warn' | 'info'>;
  random(): number;
  open(settings: RedisSettings): Promise<RedisClient>;
}

/** What ioredis says of commands that a connection took along; why it ended is said before. */
const CLOSED = 'Connection is closed.';
/** A Redis that comes and goes is mentioned once in this time. */
const QUIET_MS = 10_000;

export class RedisLink {
  readonly #settings: RedisSettings;
  readonly #surroundings: RedisSurroundings;
  readonly #backoff: Backoff;
  readonly #lanes = new Map<string, RedisLane>();
  readonly #listeners = new Set<() => void>();
  #client: RedisClient | undefined;
  #ready = false;
  #closed = false;
  /** The first attempt, while it lasts. */
  #first: Promise<void> | undefined;
  #endFirst: () => void;
  #problem = new RedisUnavailable('not connected yet');
  #retry: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #complained = false;
  #complainedAt = Number.NEGATIVE_INFINITY;

  constructor(settings: RedisSettings, surroundings: RedisSurroundings) {
    this.#settings = settings;
    this.#surroundings = surroundings;
    this.#backoff = new Backoff(() => surroundings.random());
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#first = promise;
    this.#endFirst = () => {
      this.#first = undefined;
      resolve();
    };
    if (settings.tls && !settings.verify) {
      surroundings.log.warn(
        `the certificate of ${this.#name()} is not verified: redis_ssl_verify (redis_cluster_ssl_verify) is false`,
      );
    }
    this.#connect();
  }

  /** Whether there is a connection, and all servers behind it answer. */
  get ready(): boolean {
    return this.#ready && [...this.#lanes.values()].every(({ open }) => open);
  }

  /**
   * Issues a command about one key and resolves with its answer, within `decisionTimeoutMs`: see
   * RedisLane.send for how it fails. Only the very first
   * attempt to connect is waited for: it loads the client and must not refuse the first requests.
   */
  send<T>(key: string, issue: (client: RedisClient) => Promise<T>): Promise<T> {
    const client = this.#client;
    if (this.#ready && client !== undefined) return this.#laneOf(client, key).send(key, () => issue(client));
    if (this.#first === undefined) throw this.#problem;
    return this.#first.then(() => this.send(key, issue));
  }

  /** Calls back whenever Redis can be asked again, or for the first time; returns how to end that. */
  onReady(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    this.#drop(new RedisUnavailable('closed'));
    this.#endFirst();
  }

  #connect(): void {
    let gaveUp = false;
    const giveUp = (reason: string): void => {
      if (gaveUp) return;
      gaveUp = true;
      this.#lose(reason);
    };
    // Connecting, signing in and the first answer: all of it must be done in time.
    this.#deadline = setTimeout(
      () => giveUp(`no answer within ${this.#settings.connectTimeoutMs} ms`),
      this.#settings.connectTimeoutMs,
    ).unref();
    this.#surroundings.open(this.#settings).then(
      (client) => {
        let reason = client.isCluster ? 'none of its servers can be reached' : CLOSED;
        const note = (error: Error): void => {
          if (error.message !== CLOSED) reason = reasonOf(error);
        };
        // A cluster's own errors say only that all of its servers had one.
        client.on('error', client.isCluster ? () => {} : note);
        client.on('node error', note);
        if (gaveUp || this.#closed) return client.disconnect();
        this.#client = client;
        client.once('end', () => {
          if (this.#client === client) giveUp(reason);
        });
        client.once('ready', () => {
          if (this.#client === client) this.#begin(client);
        });
      },
      (error) => giveUp(reasonOf(error)),
    );
  }

  #begin(client: RedisClient): void {
    clearTimeout(this.#deadline);
    // The nodes of a cluster are connected to when they are first asked, which would be late.
    for (const server of asCluster(client)?.nodes('master') ?? []) {
      if (server.status === 'wait') server.connect().catch(() => {});
    }
    this.#ready = true;
    this.#endFirst();
    this.#tellReady();
  }

  #lose(reason: string): void {
    if (this.#closed) return;
    this.#drop(new RedisUnavailable(reason));
    this.#endFirst();
    this.#complain(reason);
    this.#retry = setTimeout(() => this.#connect(), this.#backoff.next()).unref();
  }

  #drop(problem: RedisUnavailable): void {
    clearTimeout(this.#deadline);
    clearTimeout(this.#retry);
    const client = this.#client;
    this.#problem = problem;
    this.#ready = false;
    this.#client = undefined;
    client?.disconnect();
    for (const lane of this.#lanes.values()) lane.close(problem);
    this.#lanes.clear();
  }

  /** A single server and a master have one lane; in a cluster each node has its own. */
  #laneOf(client: RedisClient, key: string): RedisLane {
    const server = asCluster(client)?.slots[keySlot(key)]?.[0] ?? '';
    let lane = this.#lanes.get(server);
    if (lane === undefined) {
      lane = this.#newLane(client, server);
      this.#lanes.set(server, lane);
    }
    return lane;
  }

  #newLane(client: RedisClient, server: string): RedisLane {
    const { decisionTimeoutMs, connectTimeoutMs } = this.#settings;
    const cluster = asCluster(client);
    const giveUpMs = Math.max(connectTimeoutMs, decisionTimeoutMs);
    return new RedisLane({
      decisionTimeoutMs,
      giveUpMs,
      // In a cluster one node's pauses must not lengthen with another's.
      backoff: cluster === undefined ? this.#backoff : new Backoff(() => this.#surroundings.random()),
      probe: (key) => client.call('exists', key),
      giveUp: () => {
        if (cluster === undefined) this.#lose(`no answer within ${giveUpMs} ms`);
        else serverOf(cluster, server)?.disconnect();
      },
      onChange: (silence) => {
        if (silence === undefined) this.#tellReady();
        else this.#complain(server === '' ? silence.message : `${silence.message} from ${server}`);
      },
    });
  }

  /**
   * To be told what Redis answered instead of a result. A master that became a replica is left: another
   * attempt finds the new one.
   */
  onErrorAnswer(error: unknown): void {
    const reason = reasonOf(error);
    const single = this.#client?.isCluster === false;
    if (this.#ready && single && reason.startsWith('READONLY')) this.#lose(reason);
    else this.#complain(reason);
  }

  #tellReady(): void {
    if (this.#complained) this.#surroundings.log.info(`${this.#name()} answers again`);
    this.#complained = false;
    for (const listener of this.#listeners) listener();
  }

  #complain(reason: string): void {
    const now = performance.now();
    if (this.#complained || now - this.#complainedAt < QUIET_MS) return;
    this.#complained = true;
    this.#complainedAt = now;
    this.#surroundings.log.warn(`${this.#name()} does not answer: ${reason}`);
  }

  #name(): string {
    const { kind, addresses, masterName } = this.#settings;
    const list = addresses.map(({ host, port }) => `${host}:${port}`).join(', ');
    if (kind === 'single') return `Redis at ${list}`;
    return kind === 'cluster' ? `the Redis cluster of ${list}` : `Redis ${masterName} behind ${list}`;
  }
}

function serverOf(cluster: Cluster, address: string): Redis | undefined {
  return cluster.nodes().find(({ options }) => `${options.host}:${options.port}` === address);
}

/** What went wrong, in one line. An error of ioredis also holds the command and its words; they stay out. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return (error.message || error.name).split('\n', 1)[0];
}
