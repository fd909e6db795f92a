import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import type { Configuration } from './configuration.ts';
import type { Kind, Value } from './resource.ts';
import { testConfiguration } from './testing.ts';

// A certificate for test.example with its key, made for this test and used nowhere else.
const cert = `-----BEGIN CERTIFICATE-----
MIIBhTCCASugAwIBAgIURF4ySeXsbUG56zsjPoaJ4otcQyEwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMdGVzdC5leGFtcGxlMCAXDTI2MTEyMTE0MTcxOVoYDzIxMjYx
MDI4MTQxNzE5WjAXMRUwEwYDVQQDDAx0ZXN0LmV4YW1wbGUwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAARqSQvsWUmhiH4VVtYaNVURgKSwLBvCRC1YgXDcyyciU4QV
b2y7pl/0to32h9fBjud0oS2MehJ8i6K/nt+2V71Yo1MwUTAdBgNVHQ4EFgQUdv2L
KDlKGATOKxsKCJ3uuc2XAVswHwYDVR0jBBgwFoAUdv2LKDlKGATOKxsKCJ3uuc2X
AVswDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBJ6J9l3Ss0W8KH
xQswbneSKPlypFo8e6+Xi6an0nOCPQIhAJjp8GIkOvF4LBybaGnOnSB4+fe+SOwj
1O/42clf6Yjs
-----END CERTIFICATE-----
`;
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQgmx3mONokf3xVdc
c4ABwGSTQqmFWspEgcwcxIMUByOhRANCAARqSQvsWUmhiH4VVtYaNVURgKSwLBvC
RC1YgXDcyyciU4QVb2y7pl/0to32h9fBjud0oS2MehJ8i6K/nt+2V71Y
-----END PRIVATE KEY-----
`;
// 1024 bits of RSA: parsed by all, good for nothing.
const weak = {
  cert: `-----BEGIN CERTIFICATE-----
MIIB/DCCAWWgAwIBAgIUKVmGGGSNNDpYXNjBMM2xNI+vwPgwDQYJKoZIhvcNAQEL
BQAwDzENMAsGA1UEAwwEd2VhazAgFw0yNjExMjExNjU0MzZaGA8yMTI2MTAyODE2
NTQzNlowDzENMAsGA1UEAwwEd2VhazCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkC
gYEAxmySCbfdVE38jowd2mi8vXqSVt+l6tBVUvl+eUyitLD2GjxKKGeuIVq4BFY/
o5PNLy/xt4todTULJNu92PJ/udBd34/Nnn7NQcur1tFlpfFyQHPBmVDnE272+VQE
yrc0+aWuvMONzWFYjxjcz4PCj1GKFftYIQOAsRmCS1m67NcCAwEAAaNTMFEwHQYD
VR0OBBYEFLQjabxF0MSaZzu/EtD+LYg8x/u4MB8GA1UdIwQYMBaAFLQjabxF0MSa
Zzu/EtD+LYg8x/u4MA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADgYEA
k5oNS8Sz3XK1S2tr+DDFXSTErsh8Yt6e2p1cId7zgItudf5QsQcKw1L/rBUpFuc7
CbvTRa02gUFfJgmCVOnaUT+gph5Wg8UvQRD5UsUMAl1JjbOO83EkJUD6ySzwk6d9
yoXrTjJ3Y7GgSFlXIjlc/KYQENMEfUnNw5PnV/AqpBc=
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBAMZskgm33VRN/I6M
HdpovL16klbfperQVVL5fnlMorSw9ho8SihnriFauARWP6OTzS8v8beLaHU1CyTb
vdjyf7nQXd+PzZ5+zUHLq9bRZaXxckBzwZlQ5xNu9vlUBMq3NPmlrrzDjc1hWI8Y
3M+Dwo9RihX7WCEDgLEZgktZuuzXAgMBAAECgYEAolcjqGXQ5G+lyS6kIhR9Dv0g
i4kRYysuE+PicPWdTP5Xa6GV/rbNBacGVS4HhRqgzhGIzuV1AifyxSYvjjbg/cA0
mvcTwHwDUKALqlDBTdjoNUNAOKmSYxxpk+bw1hbNHqCIpU4MR3zdSLt/7ChK/f4m
oPFond5gMCVFFzvVZIECQQD3TpjctfFTF1/IE0rNF9DGIM3VDG87Iiss9Lljgv/B
9hbWLHgRzvcSOVVSlHOImHq6E3jUPPSCODeuuCTeH00XAkEAzWYZKtnNTcM9GU3H
Frr5JL0dcl66hGgfX/Ioj7iX8el/gkk1vgXCOiYlT/gfNg+dSthbAfaU0RUljpKm
ZRa2QQJBAKGWTFDh3JVjD2VGHbjWF8ZtBrBu2Hq1v6o3GK7JmFzec1trYOSZ61uP
9IzpjHey0XWlZWyfi09OdiuGDCjKIO8CQHCbmwytICuT8Hlg9Nd3ZoRH0k8TtDpH
Q3w8rRQuZc9Q7oElVft5+MQcibRQGfxvjxKrjymCYJBIgbCqoeMmEoECQQCkcElb
Fi6EC8K4Y1JfjMmNg1mObtmiYjiEkp+mxd696X/0bdsqES4DAUiyaqoLxWbdojuK
ZSI/3FTkT1/f7VHL
-----END PRIVATE KEY-----
`,
};
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const otherKey = other.export({ type: 'pkcs8', format: 'pem' }).toString();

function put(configuration: Configuration, kind: Kind, id: string, value: Value) {
  const plan = configuration.plan({ type: 'put', kind, id, value });
  if (plan.ok) configuration.commit(plan.change);
  return plan;
}
const message = (plan: ReturnType<typeof put>) => ('message' in plan ? plan.message : 'accepted');

test('an SSL is answered without its keys, and stored with them sealed', () => {
  const configuration = testConfiguration();
  const plan = put(configuration, 'ssls', '1', {
    snis: ['test.example'],
    cert,
    key,
    certs: [cert],
    keys: [key],
  });
  assert.ok(plan.ok);
  const { value } = plan.answer.body as { value: Value };
  assert.deepEqual(
    Object.keys(value).filter((name) => name.startsWith('key')),
    [],
  );
  assert.equal(value.cert, cert);
  assert.match(JSON.stringify(plan.change), /PRIVATE KEY/);
  assert.doesNotMatch(JSON.stringify(configuration.sealed(plan.change)), /PRIVATE KEY/);
  const patch = configuration.plan({ type: 'patch', kind: 'ssls', id: '1', value: { status: 0 } });
  assert.ok(patch.ok);
  assert.equal(patch.change.puts[0].value.key, key);
});

test('an SSL whose parts do not fit together is refused, without a word of the key', () => {
  const configuration = testConfiguration();
  const sni = 'test.example';
  for (const [value, expected] of [
    [{ sni, cert, key: otherKey }, 'the key does not belong to the cert'],
    [{ sni, cert, key: 'x'.repeat(64) }, 'failed to parse key: not a private key in PEM form'],
    [{ sni, cert, key, certs: [cert] }, 'mismatched number of certs and keys'],
    [
      { sni, cert, key, certs: [cert], keys: [otherKey] },
      'failed to handle cert-key pair[1]: the key does not belong to the cert',
    ],
    [
      { sni, cert, key, client: { ca: 'x'.repeat(128) } },
      'failed to validate client_cert: failed to parse cert: not a certificate in PEM form',
    ],
    [
      { sni, cert, key, ssl_protocols: ['TLSv1.1'] },
      'ssl_protocols must name TLSv1.2 or TLSv1.3: nothing older is spoken',
    ],
    [
      { sni, cert, key, client: { ca: cert, crl: 'x'.repeat(64) } },
      'client.crl: failed to parse crl: not a list of revoked certificates in PEM form',
    ],
    [{ sni, cert: weak.cert, key: weak.key }, "the cert can't be used: ee key too small"],
    [{ cert, key }, 'invalid configuration: then clause did not match'],
    [{ type: 'client', cert }, 'invalid configuration: else clause did not match'],
  ] as const) {
    assert.equal(message(put(configuration, 'ssls', '1', value as Value)), expected);
  }
});

test('a client certificate that an Upstream uses must be one, and stays', () => {
  const configuration = testConfiguration();
  const upstream = { nodes: { 'a:1': 1 }, tls: { client_cert_id: 'c' } };
  assert.equal(
    message(put(configuration, 'upstreams', 'u', upstream)),
    'failed to fetch ssl info by ssl id [c], response code: 404',
  );
  put(configuration, 'ssls', 'c', { sni: 'test.example', cert, key });
  assert.equal(
    message(put(configuration, 'upstreams', 'u', upstream)),
    'failed to fetch ssl info by ssl id [c], wrong ssl type',
  );
  put(configuration, 'ssls', 'c', { type: 'client', cert, key });
  assert.equal(message(put(configuration, 'upstreams', 'u', upstream)), 'accepted');
  const plan = configuration.plan({ type: 'delete', kind: 'ssls', id: 'c' });
  assert.equal(
    'message' in plan && plan.message,
    'can not delete this ssl, upstream [u] is still using it now',
  );
});
