import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { isObject, type JsonObject } from '../lib/json.ts';
import { withDefaults } from '../lib/json-schema.ts';
import { type KubernetesCluster, kubernetesCluster, kubernetesSettings } from '../model/discovery.ts';
import {
  type Discovery,
  type DiscoveryListener,
  type DiscoverySurroundings,
  defineDiscovery,
} from './discovery.ts';
import { readySlices } from './endpoint-slices.ts';
import { type GetOptions, httpGet, jsonOf, linesOf } from './http-get.ts';
import { keepAsking, type Next } from './keep-asking.ts';

export const kubernetes = defineDiscovery({
  name: 'kubernetes',
  summary: 'Follows the EndpointSlices of services in Kubernetes.',
  config: kubernetesSettings,
  create: (config, surroundings) =>
    new Kubernetes(
      (Array.isArray(config) ? config : [config]).map((cluster) => withDefaults(kubernetesCluster, cluster)),
      surroundings,
    ),
});

const SECRETS = '/var/run/secrets/kubernetes.io/serviceaccount';
const CONNECT_MS = 5000;
const ANSWER_MS = 30_000;
/** `namespace/name:port`, behind the cluster's id where there are several. */
const NAME =
  /^(?:([a-z0-9]{1,8})\/)?([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)\/([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?):([-A-Za-z0-9]+)$/;

class Kubernetes implements Discovery {
  readonly #clusters: readonly KubernetesCluster[];
  readonly #surroundings: DiscoverySurroundings;

  constructor(clusters: readonly KubernetesCluster[], surroundings: DiscoverySurroundings) {
    this.#clusters = clusters;
    this.#surroundings = surroundings;
  }

  watch(service: string, listener: DiscoveryListener): () => void {
    const parts = NAME.exec(service);
    const cluster = this.#clusters.find(({ id }) => id === parts?.[1]);
    if (parts === null || cluster === undefined) {
      listener.onTargets([]);
      const several = this.#clusters.some(({ id }) => id !== undefined);
      const wanted = several
        ? 'id/namespace/name:port, with the id of a cluster in discovery.kubernetes'
        : 'namespace/name:port';
      listener.onTrouble(`service_name must be ${wanted}`);
      return () => {};
    }
    const [, , namespace, name, port] = parts;
    const server = new ApiServer(cluster, this.#surroundings);
    const watch = new SliceWatch(server, cluster, { namespace, name, port }, listener, this.#surroundings);
    return keepAsking((signal, good) => watch.round(signal, good), listener, this.#surroundings);
  }
}

/** The way to a cluster's API server. */
class ApiServer {
  readonly #cluster: KubernetesCluster;
  readonly #surroundings: DiscoverySurroundings;

  constructor(cluster: KubernetesCluster, surroundings: DiscoverySurroundings) {
    this.#cluster = cluster;
    this.#surroundings = surroundings;
  }

  /** Token and certificates are read anew each time: they are exchanged every hour or so. */
  async get(target: string, signal: AbortSignal) {
    const { service, client } = this.#cluster;
    const host = this.#text(service.host);
    const url = new URL(target, `${service.schema}://${host.includes(':') ? `[${host}]` : host}`);
    url.port = this.#text(service.port);
    const token = await this.#token();
    const tls: GetOptions['tls'] =
      service.schema === 'http'
        ? undefined
        : {
            rejectUnauthorized: client.ssl_verify,
            ca: await this.#authorities(),
            cert: client.cert_file && (await this.#read(client.cert_file)),
            key: client.key_file && (await this.#read(client.key_file)),
          };
    return httpGet(url, {
      headers: { accept: 'application/json', ...(token !== '' && { authorization: `Bearer ${token}` }) },
      tls,
      connectMs: CONNECT_MS,
      headMs: ANSWER_MS,
      signal,
    });
  }

  async #token(): Promise<string> {
    const { token, token_file: file, cert_file: certificate } = this.#cluster.client;
    if (token !== undefined) return this.#text(token);
    if (file === undefined && certificate !== undefined) return '';
    return (await this.#read(file ?? `${SECRETS}/token`)).trim();
  }

  async #authorities(): Promise<string | undefined> {
    const { ca_file: file } = this.#cluster.client;
    if (file !== undefined) return this.#read(file);
    return readFile(`${SECRETS}/ca.crt`, 'utf8').catch(() => undefined);
  }

  #read(file: string): Promise<string> {
    return readFile(path.resolve(this.#surroundings.folder, this.#text(file)), 'utf8');
  }

  #text(written: string): string {
    const name = /^\$\{(\w+)\}$/.exec(written)?.[1];
    if (name === undefined) return written;
    const value = this.#surroundings.environment[name];
    if (value === undefined) throw new Error(`not found environment variable ${name}`);
    return value;
  }
}

interface SliceName {
  readonly namespace: string;
  readonly name: string;
  readonly port: string;
}

/**
 * List and watch (kubernetes.io/docs/reference/using-api/api-concepts): all slices of a service are
 * listed once, then changes are watched from that version on, from one watch to the next. A version
 * that the server has forgotten (410) means to list again.
 */
class SliceWatch {
  readonly #server: ApiServer;
  readonly #cluster: KubernetesCluster;
  readonly #name: SliceName;
  readonly #listener: DiscoveryListener;
  readonly #surroundings: DiscoverySurroundings;
  #slices = new Map<string, JsonObject>();
  #version: string | undefined;

  constructor(
    server: ApiServer,
    cluster: KubernetesCluster,
    name: SliceName,
    listener: DiscoveryListener,
    surroundings: DiscoverySurroundings,
  ) {
    this.#server = server;
    this.#cluster = cluster;
    this.#name = name;
    this.#listener = listener;
    this.#surroundings = surroundings;
  }

  async round(signal: AbortSignal, good: () => void): Promise<Next> {
    if (this.#version === undefined) await this.#list(signal);
    const { watch_timeout_seconds: base, watch_jitter_seconds: jitter } = this.#cluster;
    const seconds = base + Math.floor(this.#surroundings.random() * (jitter + 1));
    const message = await this.#server.get(
      this.#target({
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: this.#version ?? '',
        timeoutSeconds: String(seconds),
      }),
      signal,
    );
    if (message.statusCode === 410) {
      message.destroy();
      this.#version = undefined;
      return 'no news';
    }
    this.#check(message);
    good();
    let news = false;
    for await (const line of linesOf(message, (seconds + 30) * 1000)) {
      const happened = this.#take(JSON.parse(line));
      if (happened === 'gone') {
        message.destroy();
        this.#version = undefined;
        break;
      }
      if (signal.aborted) break;
      if (happened === 'changed') {
        news = true;
        this.#tell();
      }
    }
    return news ? 'news' : 'no news';
  }

  async #list(signal: AbortSignal): Promise<void> {
    const message = await this.#server.get(this.#target({}), signal);
    this.#check(message);
    const list = await jsonOf(message, ANSWER_MS);
    const version = isObject(list) && isObject(list.metadata) ? list.metadata.resourceVersion : undefined;
    if (!isObject(list) || !Array.isArray(list.items) || typeof version !== 'string')
      throw new Error('the API server answered something that is no EndpointSliceList');
    this.#slices = new Map(list.items.filter(isObject).map((slice) => [nameOf(slice), slice]));
    this.#version = version;
    if (!signal.aborted) this.#tell();
  }

  #take(event: unknown): 'changed' | 'same' | 'gone' {
    if (!isObject(event) || !isObject(event.object))
      throw new Error('the watch sent something that is no event');
    const { type, object } = event;
    if (type === 'ERROR') {
      if (object.code === 410) return 'gone';
      throw new Error(`the watch ended with ${object.code} ${object.reason}`);
    }
    const version = isObject(object.metadata) ? object.metadata.resourceVersion : undefined;
    if (typeof version === 'string') this.#version = version;
    if (type === 'ADDED' || type === 'MODIFIED') this.#slices.set(nameOf(object), object);
    else if (type === 'DELETED') this.#slices.delete(nameOf(object));
    else return 'same';
    return 'changed';
  }

  #tell(): void {
    const { default_weight: weight } = this.#cluster;
    this.#listener.onTargets(readySlices(this.#slices.values(), this.#name.port, weight));
  }

  #check(message: IncomingMessage): void {
    const { statusCode } = message;
    if (statusCode === 200) return;
    message.destroy();
    const hint =
      statusCode === 401
        ? '; check discovery.kubernetes.client'
        : statusCode === 403
          ? '; its account needs list and watch of endpointslices'
          : '';
    throw new Error(`the API server answered ${statusCode}${hint}`);
  }

  #target(parameters: Readonly<Record<string, string>>): string {
    const { namespace, name } = this.#name;
    const own = this.#cluster.label_selector;
    const labels = `kubernetes.io/service-name=${name}${own === undefined ? '' : `,${own}`}`;
    const query = new URLSearchParams({ labelSelector: labels, ...parameters });
    return `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?${query}`;
  }
}

function nameOf({ metadata }: JsonObject): string {
  return isObject(metadata) ? String(metadata.name) : '';
}
