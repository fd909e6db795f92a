import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Resource } from '../model/resource.ts';
import { Snapshot } from '../model/snapshot.ts';
import type { CertificateFigures } from '../telemetry/figures.ts';
import { CertificateWatch } from './certificate-watch.ts';

const folder = path.join(import.meta.dirname, '../../test/support/certificates');
const cert = readFileSync(path.join(folder, 'server.crt'), 'utf8');
const END = Date.parse('2126-10-28T00:00:00Z');

function resource(id: string, value: object): Resource {
  return {
    kind: 'ssls',
    id,
    workspace: 'default',
    createdRevision: 1,
    modifiedRevision: 1,
    value: { ...value },
  };
}

function watch(now: number, values: Readonly<Record<string, object>>) {
  const lines: string[] = [];
  let reported: readonly CertificateFigures[] = [];
  const snapshot = new Snapshot();
  const puts = Object.entries(values).map(([id, value]) => resource(id, value));
  snapshot.apply({ revision: 1, puts, removals: [] });
  const ignore = () => {};
  const certificates = new CertificateWatch({
    snapshot,
    log: { error: ignore, info: ignore, debug: ignore, warn: (line) => lines.push(line) },
    obtained: () => [{ id: 'acme/own.example', snis: ['own.example'], cert, key: '' }],
    report: (figures) => {
      reported = figures;
    },
    now: () => now,
  });
  return { certificates, lines, reported: () => reported };
}

const days = (count: number) => count * 86_400_000;

test('reports every name of every certificate that is in use', () => {
  const { certificates, lines, reported } = watch(END - days(60), {
    1: { snis: ['a.example', 'b.example'], cert },
    2: { sni: 'c.example', cert, status: 0 },
    3: { type: 'client', cert },
  });
  certificates.check();
  assert.deepEqual(
    reported().map(({ ssl, sni }) => `${ssl} ${sni}`),
    ['1 a.example', '1 b.example', '3 ', 'acme/own.example own.example'],
  );
  const [{ notAfter }] = reported();
  assert.ok(Math.abs(notAfter * 1000 - END) < days(2));
  assert.deepEqual(lines, []);
});

test('warns a month ahead, of all or of what has changed', () => {
  const values = { 1: { sni: 'a.example', cert }, 2: { sni: 'b.example', cert } };
  const soon = watch(END - days(20), values);
  soon.certificates.check();
  assert.equal(soon.lines.length, 3);
  assert.match(soon.lines[0], /^the certificate of ssl 1 expires in (19|20) days$/);
  soon.certificates.onChange({ revision: 2, puts: [resource('2', values[2])], removals: [] });
  assert.match(soon.lines[3], /ssl 2 expires/);
  assert.equal(soon.lines.length, 4);
  soon.certificates.onChange({ revision: 3, puts: [], removals: [{ kind: 'routes', id: '1' }] });
  assert.equal(soon.lines.length, 4);
  const late = watch(END + days(2), values);
  late.certificates.check();
  assert.match(late.lines[0], /has expired$/);
});
