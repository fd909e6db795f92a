import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { CertificateAuthority } from '../support/certificate-authority.ts';
import { place, startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call, tally } from '../support/http-call.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';
import { secureGet } from '../support/tls-client.ts';
import { ssl, startTls } from '../support/tls-gateway.ts';
import { hasEnded, Upgrading } from '../support/upgrading.ts';

const configuration = (upstream: string, workers = 2) => `
workers: ${workers}
shutdown: { grace: 10 }
admin: { enabled: true, address: 127.0.0.1:0 }
status: { enabled: true, address: 127.0.0.1:0 }
routes: [{ id: all, uri: /*, upstream: { nodes: { '${upstream}': 1 } } }]
`;

/** Clients that ask as fast as they are answered, until they are told to stop. */
class Load {
  readonly outcomes: string[] = [];
  #stopped = false;
  readonly #lanes: Promise<void>[] = [];

  add(count: number, ask: () => Promise<{ readonly status: number }>): void {
    for (let lane = 0; lane < count; lane++) this.#lanes.push(this.#run(ask));
  }

  async #run(ask: () => Promise<{ readonly status: number }>): Promise<void> {
    while (!this.#stopped) {
      const outcome = await ask().then(
        ({ status }) => String(status),
        (error: Error) => error.message,
      );
      this.outcomes.push(outcome);
    }
  }

  /** Waits for so many more answers. */
  async goOn(count: number): Promise<void> {
    const wanted = this.outcomes.length + count;
    await eventually('the load goes on', () => this.outcomes.length >= wanted);
  }

  async stop(): Promise<Record<string, number>> {
    this.#stopped = true;
    await Promise.all(this.#lanes);
    return tally(this.outcomes);
  }
}

test('three upgrades under load refuse and reset nothing, and end no request under way', async (t) => {
  const upgrading = new Upgrading(t);
  const upstream = await startEcho(t);
  const { sluice, write } = await startWithFile(t, configuration(upstream.address), {
    keepWorkers: true,
    accessLog: 'off',
  });
  const url = `${sluice.traffic}/x`;
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const load = new Load();
  load.add(4, () => call(url));
  load.add(4, () => call(url, { agent }));
  const others = new Load();
  const status = /^ {2}status +(\S+)/m.exec(sluice.stderr)?.[1] ?? '';
  others.add(1, () => call(sluice.metrics));
  others.add(1, () => call(status));
  const old: number[] = [];
  const slow: Promise<Answer>[] = [];
  // Fewer workers than sockets, and more.
  for (const workers of [1, 3, 2]) {
    await load.goOn(200);
    slow.push(sluice.call('/delay/2500'));
    await eventually(
      'the slow request is under way',
      () => upstream.requests.filter(({ url }) => url.startsWith('/delay')).length === slow.length,
    );
    write(configuration(upstream.address, workers));
    old.push(await upgrading.upgrade(sluice));
  }
  await load.goOn(200);
  for (const pid of old) await eventually(`process ${pid} has ended`, () => hasEnded(pid));
  await load.goOn(200);
  const outcomes = await load.stop();
  assert.deepEqual(Object.keys(outcomes), ['200'], JSON.stringify(outcomes));
  const asked = await others.stop();
  assert.deepEqual(Object.keys(asked), ['200'], JSON.stringify(asked));
  assert.deepEqual(
    (await Promise.all(slow)).map((answer) => answer.status),
    [200, 200, 200],
  );
  assert.equal(sluice.child.exitCode, 0);
  assert.deepEqual(
    [...sluice.stderr.matchAll(/\((\d) workers?\)/g)].map(([, count]) => count),
    ['2', '1', '3', '2'],
  );
});
