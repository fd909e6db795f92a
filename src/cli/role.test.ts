import assert from 'node:assert/strict';
import { test } from 'node:test';
import { roleOf } from './role.ts';

const certificates = { 'cluster-cert': 'c.crt', 'cluster-key': 'c.key', 'cluster-ca': 'ca.crt' };
const files = { cert: 'c.crt', key: 'c.key', ca: 'ca.crt' };
const edge = { role: 'data-plane', 'control-plane': ['https://a:9190'], ...certificates };

test('without a role there is none', () => {
  assert.equal(roleOf({ listen: '127.0.0.1:80' }, 'sluice.yaml'), undefined);
});

test('a control plane listens on loopback unless told otherwise', () => {
  const role = { role: 'control-plane', ...certificates };
  const listen = { host: '127.0.0.1', port: 9190 };
  assert.deepEqual(roleOf(role, undefined), { name: 'control-plane', listen, certificates: files });
  const wide = roleOf({ ...role, 'cluster-listen': '0.0.0.0:1' }, undefined);
  assert.deepEqual(wide, {
    name: 'control-plane',
    listen: { host: '0.0.0.0', port: 1 },
    certificates: files,
  });
});

test('a data plane has whom to follow', () => {
  const controlPlanes = ['https://a:9190'];
  assert.deepEqual(roleOf(edge, undefined), { name: 'data-plane', controlPlanes, certificates: files });
});

test('what does not go together is refused, with what to do', () => {
  const refused: readonly (readonly [Parameters<typeof roleOf>[0], unknown, RegExp])[] = [
    [{ role: 'both' }, undefined, /^--role must be control-plane or data-plane; got both$/],
    [
      { role: 'control-plane' },
      undefined,
      /wants --cluster-cert FILE, --cluster-key FILE, --cluster-ca FILE;/,
    ],
    [{ ...edge, 'cluster-ca': undefined }, undefined, /wants --cluster-ca FILE;/],
    [{ ...edge, 'control-plane': undefined }, undefined, /wants --control-plane https:/],
    [{ ...edge, 'cluster-listen': ':1' }, undefined, /^--cluster-listen goes with --role control-plane$/],
    [{ ...edge, store: 'postgres://x/y' }, undefined, /takes no --store/],
    [edge, 'sluice.yaml', /goes with neither UPSTREAM, --config nor --admin$/],
    [{ 'control-plane': ['https://a'] }, undefined, /^--control-plane goes with --role data-plane$/],
    [{ ...certificates }, undefined, /^--cluster-cert goes with --role control-plane$/],
    [{ role: 'control-plane', 'cluster-listen': 'x:y', ...certificates }, undefined, /^--cluster-listen: /],
  ];
  for (const [options, other, message] of refused) {
    assert.throws(() => roleOf(options, other), { name: 'UsageError', message });
  }
});
