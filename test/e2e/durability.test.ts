import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import http from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { call } from '../support/http-call.ts';
import { ADMIN_KEY, SluiceProcess, temporaryFolder } from '../support/process.ts';

const KILLS = 20;
const WRITERS = 4;
const KEYS_PER_WRITER = 5;

/** What one place of the configuration may hold: a version, or nothing. */
type Version = number | undefined;

interface Place {
  readonly what: string;
  /** A resource all of whose fields name the version. */
  body(version: number): object;
  /** The versions that the fields of a stored value name. */
  // biome-ignore lint/suspicious/noExplicitAny: an answer of any shape
  versions(value: any): unknown[];
  /** Last answered with success. */
  acknowledged: Version;
  /** Sent and not answered. */
  pending: { readonly version: Version } | undefined;
}

function routePlace(id: string): Place {
  return {
    what: `routes/${id}`,
    body: (version) => ({
      uri: `/${id}/${version}`,
      name: `name-${version}`,
      desc: `description ${version}`,
      priority: version,
      labels: { version: String(version) },
      plugins: { mocking: { response_example: `answer ${version}` } },
    }),
    versions: ({ uri, name, desc, priority, labels, plugins }) => [
      Number(uri.split('/')[2]),
      Number(name.slice(5)),
      Number(desc.slice(12)),
      priority,
      Number(labels.version),
      Number(plugins.mocking.response_example.slice(7)),
    ],
    acknowledged: undefined,
    pending: undefined,
  };
}

function consumerPlace(name: string): Place {
  return {
    what: `consumers/${name}`,
    body: (version) => ({ username: name, desc: String(version), labels: { version: String(version) } }),
    versions: ({ desc, labels }) => [Number(desc), Number(labels.version)],
    acknowledged: undefined,
    pending: undefined,
  };
}

function credentialPlace(name: string): Place {
  return {
    what: `consumers/${name}/credentials/main`,
    body: (version) => ({ desc: String(version), plugins: { 'key-auth': { key: `${name}-${version}` } } }),
    // The key is sealed; traffic shows whether it is the right one.
    versions: ({ desc }) => [Number(desc)],
    acknowledged: undefined,
    pending: undefined,
  };
}

test('killed twenty times under writes, it loses nothing acknowledged and applies nothing by halves', async (t) => {
  const data = temporaryFolder(t);
  const lanes = Array.from({ length: WRITERS }, (_, lane) => {
    const places = Array.from({ length: KEYS_PER_WRITER }, (_, key) => routePlace(`r${lane}x${key}`));
    return [...places, consumerPlace(`c${lane}`), credentialPlace(`c${lane}`)];
  });
  let version = 0;
  let acknowledged = 0;
  let uncertain = 0;

  for (let round = 0; round <= KILLS; round++) {
    const sluice = await SluiceProcess.start(t, {
      args: ['start', '--data', data, '--metrics-listen', 'off'],
      accessLog: 'off',
      workers: 1,
    });
    if (round === 0) {
      await sluice.put('routes/who', {
        uri: '/who',
        plugins: { 'key-auth': {}, mocking: { response_example: 'known' } },
      });
    }
    for (const place of lanes.flat()) uncertain += await verify(sluice, place);
    if (round === KILLS) break;

    const agent = new http.Agent({ keepAlive: true });
    let killed = false;
    const writer = async (places: readonly Place[]): Promise<void> => {
      while (!killed) {
        const place = places[randomInt(places.length)];
        const consumer = places.find(({ what }) => /^consumers\/\w+$/.test(what))!;
        if (place.what.includes('credentials') && consumer.acknowledged === undefined) continue;
        const removes =
          place.what.startsWith('routes') && place.acknowledged !== undefined && randomInt(4) === 0;
        const next = removes ? undefined : ++version;
        place.pending = { version: next };
        const answer = await call(`${sluice.adminOrigin}/apisix/admin/${place.what}`, {
          method: removes ? 'DELETE' : 'PUT',
          headers: { 'X-API-KEY': ADMIN_KEY },
          body: next === undefined ? undefined : JSON.stringify(place.body(next)),
          agent,
        }).catch(() => undefined);
        if (answer === undefined) return;
        assert.ok(answer.status < 300, `${place.what}: ${answer.status} ${answer.body}`);
        place.acknowledged = next;
        place.pending = undefined;
        acknowledged++;
      }
    };
    const writing = Promise.all(lanes.map(writer));
    await sleep(randomInt(5, 100));
    await sluice.kill();
    killed = true;
    await writing;
    agent.destroy();
  }
  assert.ok(acknowledged > 2 * KILLS, `only ${acknowledged} writes were acknowledged: nothing was shown`);
  t.diagnostic(`${acknowledged} writes acknowledged, ${uncertain} under way when killed and found kept`);
});

/** Compares a place with what it may hold, by the Admin API and by traffic; 1 when a write under way was kept. */
async function verify(sluice: SluiceProcess, place: Place): Promise<number> {
  const { what, acknowledged, pending } = place;
  const answer = await sluice.admin('GET', what);
  let found: Version;
  if (answer.status !== 404) {
    assert.equal(answer.status, 200, answer.body);
    const versions = place.versions(answer.json().value);
    assert.equal(new Set(versions).size, 1, `half applied: ${answer.body}`);
    found = versions[0] as number;
  }
  const allowed: Version[] = [acknowledged, ...(pending === undefined ? [] : [pending.version])];
  assert.ok(allowed.includes(found), `${what} is ${found}, may be ${allowed.join(' or ')}`);
  const name = what.split('/')[1];
  if (what.startsWith('routes/') && found !== undefined) {
    assert.equal((await sluice.call(`/${name}/${found}`)).body, `answer ${found}`);
  }
  if (what.includes('credentials') && found !== undefined) {
    assert.equal((await sluice.call('/who', { headers: { apikey: `${name}-${found}` } })).body, 'known');
    assert.equal((await sluice.call('/who', { headers: { apikey: `${name}-${found - 1}` } })).status, 401);
  }
  place.acknowledged = found;
  place.pending = undefined;
  return pending !== undefined && found === pending.version && found !== acknowledged ? 1 : 0;
}
