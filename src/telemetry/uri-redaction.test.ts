import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_REDACTED_PARAMETERS, UriRedaction } from './uri-redaction.ts';

const redaction = new UriRedaction(DEFAULT_REDACTED_PARAMETERS);

function redact(target: string, by = redaction): string {
  const bytes = Buffer.from(target, 'latin1');
  const out = Buffer.alloc(bytes.length * 6 + 64);
  return out.toString('latin1', 0, by.put(out, 0, bytes, 0, bytes.length));
}

const cases: [string, string][] = [
  ['/orders', '/orders'],
  ['/orders?', '/orders?'],
  ['/orders?page=2&sort=name', '/orders?page=2&sort=name'],
  ['/a?apikey=s3cret', '/a?apikey=***'],
  ['/a?x=1&access_token=s3cret&y=2', '/a?x=1&access_token=***&y=2'],
  ['/a?API-Key=s3cret', '/a?API-Key=***'],
  ['/a?%61pi%5Fke%79=s3cret', '/a?%61pi%5Fke%79=***'],
  ['/a?token[]=s3cret&token[]=s3cret', '/a?token[]=***&token[]=***'],
  ['/a?user[password]=s3cret', '/a?user[password]=***'],
  ['/a?user%5Bpassword%5D=s3cret', '/a?user%5Bpassword%5D=***'],
  ['/a?token=s3;s3cret&b=1', '/a?token=***&b=1'],
  ['/a?b=1;token=s3cret', '/a?b=1;token=***'],
  ['/a?b=1?token=s3cret', '/a?b=1?token=***'],
  ['/a?token=s3cret=?s3cret#s3cret', '/a?token=***'],
  ['/a?token', '/a?token'],
  ['/a?token=', '/a?token=***'],
  ['/a?tokens=1&monkey=2', '/a?tokens=1&monkey=2'],
  ['/a?%=1&%6=2&key%=3', '/a?%=1&%6=2&key%=3'],
  ['/token=1', '/token=1'],
  ['http://user:s3cret@host/a?key=s3cret', 'http://***@host/a?key=***'],
  ['http://host/a@b', 'http://host/a@b'],
  ['user:s3cret@host:443', '***@host:443'],
  ['*', '*'],
  ['', ''],
];
for (const [target, expected] of cases) {
  test(`writes ${JSON.stringify(target)} as ${JSON.stringify(expected)}`, () => {
    assert.equal(redact(target), expected);
  });
}

test('takes its names from a list', () => {
  const own = new UriRedaction(['X-Session', '']);
  assert.equal(redact('/a?xsession=1&token=2&=3', own), '/a?xsession=***&token=2&=3');
});

test('shows no value of a listed parameter wherever it stands, and every other one', () => {
  const part = fc.record({
    name: fc.constantFrom('token', 'Api_Key', 'password', 'page', 'q', 'tok'),
    value: fc.stringMatching(/^[a-z0-9%;=+]{0,12}$/),
  });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      // Values that hold a separator and a name of their own are the cases above.
      const plain = parts.map(({ name, value }) => ({ name, value: value.replace(/[;=]/g, '') }));
      const join = (show: (part: { name: string; value: string }) => string) =>
        `/a?${plain.map((part) => `${part.name}=${show(part)}`).join('&')}`;
      const secret = (name: string) => ['token', 'Api_Key', 'password'].includes(name);
      assert.equal(
        redact(join(({ value }) => value)),
        join(({ name, value }) => (secret(name) ? '***' : value)),
      );
    }),
  );
});

test('never writes more than six bytes for one, and never a byte that is not printable ASCII', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const target = Buffer.concat([Buffer.from('/?'), bytes]);
      const out = Buffer.alloc(target.length * 6);
      const end = redaction.put(out, 0, target, 0, target.length);
      assert.ok(end <= target.length * 6);
      assert.match(out.toString('latin1', 0, end), /^[ -~]*$/);
      JSON.parse(`"${out.toString('latin1', 0, end)}"`);
    }),
  );
});
