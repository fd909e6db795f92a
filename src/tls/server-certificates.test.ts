import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Resource } from '../model/resource.ts';
import { ServerCertificates } from './server-certificates.ts';

const folder = path.join(import.meta.dirname, '../../test/support/certificates');
const [cert, key] = ['server.crt', 'server.key'].map((file) => readFileSync(path.join(folder, file), 'utf8'));
const material = { ticketKeys: new Uint8Array(48), certificates: [], challenges: [] };
const ignore = () => {};
const log = { error: ignore, warn: ignore, info: ignore, debug: ignore };

function ssl(id: string, value: object): Resource {
  return {
    kind: 'ssls',
    id,
    workspace: 'default',
    createdRevision: 1,
    modifiedRevision: 1,
    value: { cert, key, ...value },
  };
}

function certificates(ssls: readonly Resource[], fallbackSni?: string): ServerCertificates {
  return new ServerCertificates({ ssls: { list: () => ssls }, fallbackSni, material, log });
}

/** By trying each, the most exact kind first, the newest of a kind. */
function naive(ssls: readonly Resource[], name: string): string | undefined {
  const kinds: ((sni: string) => boolean)[] = [
    (sni) => sni === name,
    (sni) =>
      sni.startsWith('*.') && /^[^.]+$/.test(name.slice(0, -(sni.length - 1))) && name.endsWith(sni.slice(1)),
    (sni) => sni === '*',
  ];
  for (const fits of kinds) {
    for (const { id, value } of ssls.toReversed()) if ((value.snis as string[]).some(fits)) return id;
  }
  return undefined;
}

test('finds what trying each would find', () => {
  const label = fc.constantFrom('a', 'b', 'shop');
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
  const sni = fc.oneof(
    name,
    name.map((rest) => `*.${rest}`),
    fc.constant('*'),
  );
  fc.assert(
    fc.property(
      fc.array(fc.array(sni, { minLength: 1, maxLength: 3 }), { maxLength: 6 }),
      name,
      (all, asked) => {
        const ssls = all.map((snis, index) => ssl(String(index), { snis }));
        assert.equal(certificates(ssls).find(asked)?.id, naive(ssls, asked));
      },
    ),
  );
});

test('leaves out what is off or for upstreams, and gives the same identity until it is changed', () => {
  const ssls = [
    ssl('off', { sni: 'off.example', status: 0 }),
    ssl('up', { type: 'client', sni: 'up.example' }),
  ];
  const found = certificates([...ssls, ssl('on', { sni: 'On.Example' })]);
  assert.equal(found.find('off.example'), undefined);
  assert.equal(found.find('up.example'), undefined);
  assert.equal(found.find('on.example')?.id, 'on');
  assert.equal(found.find('on.example'), found.find('on.example'));
  found.refresh();
  assert.equal(found.find('on.example'), found.find('on.example'));
});

test('a client that names nobody gets fallback_sni, or what is for all', () => {
  const ssls = [ssl('a', { sni: 'a.example' })];
  assert.equal(certificates(ssls).find(undefined), undefined);
  assert.equal(certificates(ssls, 'a.example').find(undefined)?.id, 'a');
  assert.equal(certificates(ssls, 'a.example').find('b.example'), undefined);
  assert.equal(certificates([...ssls, ssl('any', { sni: '*' })]).find(undefined)?.id, 'any');
});

test('what is configured goes before what the gateway got for itself', () => {
  const found = certificates([ssl('mine', { sni: 'a.example' })]);
  const own = { id: 'acme/1', snis: ['a.example', 'b.example'], cert, key };
  found.useMaterial({ ...material, certificates: [own] });
  assert.equal(found.find('a.example')?.id, 'mine');
  assert.equal(found.find('b.example')?.id, 'acme/1');
});
