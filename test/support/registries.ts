// The registries that are asked for Targets, as one suite of tests needs them all.

import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { place } from './config-file.ts';
import { ConsulServer } from './consul-server.ts';
import type { Scope } from './echo-upstream.ts';
import { KubernetesServer } from './kubernetes-server.ts';
import { startNameServer } from './name-server.ts';
import { temporaryFolder } from './process.ts';

/** A Target that a test registers. */
export interface Registered {
  readonly host: string;
  readonly port: number;
  /** Where the registry has weights. */
  readonly weight?: number;
}

export interface Registry {
  /** The Upstream's `discovery_type`. */
  readonly type: string;
  /** Its section of `discovery`. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly hasWeights: boolean;
  /** The Upstream's `service_name` for this name. */
  nameOf(service: string): string;
  /** All Targets of a service; none to remove it. All of them at the same port. */
  set(service: string, targets: readonly Registered[]): void;
  down(): Promise<void>;
  up(): Promise<void>;
}

export const registries: Readonly<Record<string, (scope: Scope) => Promise<Registry>>> = {
  async dns(scope) {
    const server = await startNameServer(scope, 1);
    const hostOf = (host: string) => `a${host.replaceAll('.', '-')}.test`;
    return {
      type: 'dns',
      settings: { servers: [server.address] },
      hasWeights: true,
      nameOf: (service) => `${service}.test`,
      set(service, targets) {
        const name = `${service}.test`;
        for (const { host } of targets) server.names.set(hostOf(host), [host]);
        if (targets.length === 0) server.services.delete(name);
        else
          server.services.set(
            name,
            targets.map(({ host, port, weight = 1 }) => ({
              priority: 0,
              weight,
              port,
              target: hostOf(host),
            })),
          );
      },
      down: () => server.close(),
      up: () => server.reopen(),
    };
  },

  async consul(scope) {
    const server = await ConsulServer.start(scope);
    return {
      type: 'consul',
      settings: { servers: [server.http.origin] },
      hasWeights: true,
      nameOf: (service) => service,
      set(service, targets) {
        if (targets.length === 0) server.deregister(service);
        else
          server.register(
            service,
            targets.map(({ host, ...rest }) => ({ address: host, ...rest })),
          );
      },
      down: () => server.http.close(),
      up: () => server.http.open(),
    };
  },

  async kubernetes(scope) {
    const server = await KubernetesServer.start(scope);
    server.tokens.add('test-token');
    return {
      type: 'kubernetes',
      settings: {
        service: { host: '127.0.0.1', port: String(server.http.port) },
        client: { token: 'test-token', ca_file: KubernetesServer.caFile },
      },
      hasWeights: false,
      nameOf: (service) => `default/${service}:http`,
      set(service, targets) {
        if (targets.length === 0) server.remove(`${service}-1`);
        else
          server.put(`${service}-1`, {
            service,
            addresses: targets.map(({ host }) => ({ ip: host })),
            ports: [{ name: 'http', port: targets[0].port }],
          });
      },
      down: () => server.http.close(),
      up: () => server.http.open(),
    };
  },

  async file(scope) {
    const file = path.join(temporaryFolder(scope), 'services.json');
    const services: Record<string, unknown> = {};
    let isThere = true;
    const write = () => isThere && place(file, JSON.stringify({ services }));
    writeFileSync(file, '{}');
    return {
      type: 'file',
      settings: { path: file },
      hasWeights: true,
      nameOf: (service) => service,
      set(service, targets) {
        if (targets.length === 0) delete services[service];
        else services[service] = targets.map((target) => ({ weight: 1, ...target }));
        write();
      },
      async down() {
        isThere = false;
        rmSync(file);
      },
      async up() {
        isThere = true;
        write();
      },
    };
  },
};
