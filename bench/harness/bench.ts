// What a case needs to measure something: the parts that are running, places, ports, and cores.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../test/support/free-port.ts';
import { ensureCommand } from '../../tools/ensure-command.ts';
import { HttpSocket } from '../clients/http-socket.ts';
import { type Child, Children } from './children.ts';
import type { RunningGateway } from './running-gateway.ts';

export interface BenchOptions {
  readonly quick: boolean;
  /** The built `main.js` of Sluice. */
  readonly sluice: string;
  /** Folder for the CPU profiles of every Sluice that is started; none when absent. */
  readonly profiles?: string;
}

/** How long a gateway may take until it answers. */
const START_PATIENCE_MS = 30_000;

export class Bench {
  readonly quick: boolean;
  readonly sluice: string;
  readonly profiles: string | undefined;
  /** Holds everything that is written while measuring; removed at the end. */
  readonly folder: string;
  readonly children: Children;
  readonly nginx: string;
  readonly wrk: string;
  /** Where gateways run, and where load and upstream run; undefined on a machine with one core. */
  readonly gatewayCpu: number | undefined;
  readonly loadCpu: number | undefined;
  #upstreamPort = 0;

  constructor({ quick, sluice, profiles }: BenchOptions) {
    this.quick = quick;
    this.sluice = sluice;
    this.profiles = profiles;
    this.nginx = ensureCommand({
      command: 'nginx',
      debianPackage: 'nginx',
      purpose: 'be the upstream of the benchmarks and the measure of Sluice',
    });
    this.wrk = ensureCommand({
      command: 'wrk',
      debianPackage: 'wrk',
      purpose: 'make the load of the benchmarks',
    });
    const cores = allowedCpus();
    if (cores.length > 1) [this.gatewayCpu, this.loadCpu] = cores;
    this.folder = mkdtempSync(path.join(tmpdir(), 'sluice-bench-'));
    this.children = new Children(this.folder);
  }

  /** The port of the nginx that answers everything with 1 KB of JSON. */
  get upstreamPort(): number {
    return this.#upstreamPort;
  }

  async startUpstream(): Promise<void> {
    const { port } = await this.startNginx(
      'nginx-upstream.conf',
      { padding: 'x'.repeat(1000) },
      this.loadCpu,
    );
    this.#upstreamPort = port;
  }

  /** Starts an nginx with one worker by a template in bench/configs/. */
  async startNginx(
    template: string,
    values: Readonly<Record<string, string | number>> = {},
    cpu = this.gatewayCpu,
  ): Promise<RunningGateway> {
    const port = await freePort();
    const folder = path.join(this.folder, `nginx-${port}`);
    mkdirSync(folder);
    const config = this.writeConfig(template, { port, folder, ...values });
    const args = ['-p', folder, '-e', path.join(folder, 'error.log'), '-c', config];
    return this.ready(
      this.children.start({ command: this.nginx, args, ...(cpu !== undefined && { cpu }) }),
      port,
    );
  }

  /** Fills in a template of bench/configs/ and returns the file's name. */
  writeConfig(template: string, values: Readonly<Record<string, string | number>>): string {
    const source = readFileSync(path.join(import.meta.dirname, '../configs', template), 'utf8');
    return this.writeFile(template, fillIn(source, { upstreamPort: this.upstreamPort, ...values }));
  }

  /** Writes a file beside the others of this run, under a name of its own. */
  writeFile(name: string, text: string): string {
    const folder = mkdtempSync(path.join(this.folder, 'config-'));
    const file = path.join(folder, name);
    writeFileSync(file, text);
    return file;
  }

  /** Resolves when the child answers at the port; rejects with its last words when it ends. */
  async ready(child: Child, port: number): Promise<RunningGateway> {
    const deadline = performance.now() + START_PATIENCE_MS;
    while (performance.now() < deadline && !child.ended && child.process.pid !== undefined) {
      if (await HttpSocket.answers(port)) return { child, port };
      await delay(10);
    }
    const command = path.basename(child.process.spawnfile);
    throw new Error(
      `a gateway did not start (${command}, ${child.process.spawnargs.join(' ')}):\n${child.lastWords}`,
    );
  }

  /** Stops what was started and removes what was written. */
  async close(): Promise<void> {
    await this.children.stopAll();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The same where nothing can be awaited. */
  abandon(): void {
    this.children.killAll();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Replaces each `{{name}}`. */
function fillIn(template: string, values: Readonly<Record<string, string | number>>): string {
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    if (!Object.hasOwn(values, name)) throw new Error(`nothing to fill in for {{${name}}}`);
    return String(values[name]);
  });
}

/** The numbers of the cores that this process may use. */
function allowedCpus(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  if (list === undefined) return Array.from({ length: availableParallelism() }, (_, index) => index);
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
