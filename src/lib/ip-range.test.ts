import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { IpSet, isIpRange } from './ip-range.ts';

test('a set holds its addresses and ranges, ends included, and nothing beside them', () => {
  const set = new IpSet(['127.0.0.1', '10.0.0.0/8', '192.168.1.77/24', '2001:db8::/32', '::1']);
  for (const address of [
    '127.0.0.1',
    '10.0.0.0',
    '10.255.255.255',
    '192.168.1.0',
    '2001:db8:ffff::',
    '::1',
  ]) {
    assert.equal(set.has(address), true, address);
  }
  for (const address of [
    '127.0.0.2',
    '9.255.255.255',
    '11.0.0.0',
    '192.168.2.1',
    '2001:db9::',
    '::',
    '::2',
  ]) {
    assert.equal(set.has(address), false, address);
  }
});

test('an IPv4 address mapped into IPv6 is the IPv4 address', () => {
  assert.equal(new IpSet(['10.0.0.0/8']).has('::ffff:10.1.2.3'), true);
  assert.equal(new IpSet(['10.0.0.0/8']).has('::FFFF:0a01:203'), true);
  assert.equal(new IpSet(['::ffff:10.0.0.0/104']).has('10.1.2.3'), true);
  assert.equal(new IpSet(['::ffff:10.0.0.0/104']).has('11.1.2.3'), false);
});

test('a range over all of IPv6 holds no IPv4 address', () => {
  const set = new IpSet(['::/0']);
  assert.equal(set.has('::1'), true);
  assert.equal(set.has('10.0.0.1'), false);
  assert.equal(set.has('::ffff:10.0.0.1'), false);
});

test('an empty set holds nothing, and no set holds what is no address', () => {
  assert.equal(new IpSet([]).has('10.0.0.1'), false);
  assert.equal(new IpSet([]).has('::1'), false);
  const all = new IpSet(['0.0.0.0/0', '::/0']);
  for (const junk of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.4/8',
    ' 1.2.3.4',
    '01.2.3.4',
    '::1%eth0',
    '[::1]',
    '1::2::3',
    'x',
  ]) {
    assert.equal(all.has(junk), false, junk);
  }
});

test('a text that is no range is refused by name', () => {
  for (const junk of [
    '',
    '/8',
    '1.2.3.4/',
    '1.2.3.4/33',
    '1.2.3.4/08',
    '1.2.3.4/-1',
    '1.2.3.4/8/8',
    '::/129',
    '256.0.0.1',
    'host',
  ]) {
    assert.throws(() => new IpSet(['10.0.0.1', junk]), { message: `invalid ip address: ${junk}` });
    assert.equal(isIpRange(junk), false, junk);
  }
  assert.equal(isIpRange('10.0.0.0/8'), true);
  assert.equal(isIpRange('::/0'), true);
});

const octet = fc.oneof(fc.constantFrom(0, 1, 10, 127, 128, 255), fc.nat(255));
const v4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
const group = fc.oneof(
  fc.constantFrom('0', '1', '8000', 'ffff'),
  fc.nat(0xffff).map((n) => n.toString(16)),
);
// The first bit is set: shorter prefixes of other addresses would hold the mapped ones for BlockList.
const v6 = fc
  .tuple(fc.constantFrom('8000', 'fe80', 'ffff'), fc.array(group, { minLength: 7, maxLength: 7 }))
  .map(([first, others]) => [first, ...others].join(':'));
const mapped = v4.map((address) => `::ffff:${address}`);
const range = fc.oneof(
  fc.tuple(v4, fc.integer({ min: 0, max: 32 })),
  fc.tuple(v6, fc.integer({ min: 1, max: 128 })),
  fc.tuple(mapped, fc.integer({ min: 96, max: 128 })),
);

function family(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

test("membership is that of Node's BlockList", () => {
  const ranges = fc.array(range, { maxLength: 8 });
  fc.assert(
    fc.property(
      ranges,
      fc.array(fc.oneof(v4, v6, mapped), { minLength: 1, maxLength: 8 }),
      (subnets, others) => {
        const set = new IpSet(subnets.map(([address, bits]) => `${address}/${bits}`));
        const list = new net.BlockList();
        for (const [address, bits] of subnets) list.addSubnet(address, bits, family(address));
        for (const address of [...others, ...subnets.map(([own]) => own)]) {
          assert.equal(set.has(address), list.check(address, family(address)), address);
        }
      },
    ),
    { numRuns: 400 },
  );
});

test("an address is what Node's net.isIP takes for one, without a zone", () => {
  const all = new IpSet(['0.0.0.0/0', '::/0']);
  const almost = fc.string({
    unit: fc.constantFrom('0', '1', '25', ':', '::', '.', 'f', 'ffff', 'g', '1.2.3.4'),
    maxLength: 12,
  });
  const squeezed = v6.map((address) => address.replace(/(:0)+:/, '::'));
  fc.assert(
    fc.property(fc.oneof(almost, v4, v6, mapped, squeezed), (text) => {
      assert.equal(all.has(text), net.isIP(text) !== 0, text);
    }),
    { numRuns: 3000 },
  );
});
