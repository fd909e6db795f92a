// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how references look.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatError } from './file-error.ts';
import { parseText } from './parse.ts';

function readValue(text: string, environment = {}): unknown {
  const { errors, resources } = parseText('sluice.yaml', `routes: [{ id: 1, v: ${text} }]`, { environment });
  assert.deepEqual(errors, []);
  return resources[0].value.v;
}

describe('environment variables', () => {
  test('replace their references, inside of texts and in keys', () => {
    assert.equal(readValue('"http://${{HOST}}:${{ PORT }}/"', { HOST: 'a', PORT: '80' }), 'http://a:80/');
    assert.deepEqual(readValue('{ "${{HOST}}:80": 1 }', { HOST: 'a' }), { 'a:80': 1 });
  });

  test('have a default where they are not set', () => {
    assert.equal(readValue('"${{HOST:=example.com}}"'), 'example.com');
    assert.equal(readValue('"${{HOST := example.com }}"'), 'example.com');
    assert.equal(readValue('"${{HOST:=}}"'), '');
    assert.equal(readValue('"${{HOST:=example.com}}"', { HOST: 'set' }), 'set');
  });

  test('become numbers and booleans as in APISIX, unless digits would be lost', () => {
    assert.equal(readValue('"${{A}}"', { A: '80' }), 80);
    assert.equal(readValue('"${{A}}"', { A: '-1.5' }), -1.5);
    assert.equal(readValue('"${{A}}"', { A: 'true' }), true);
    assert.equal(readValue('"${{A}}"', { A: '007' }), '007');
    assert.equal(readValue('"${{A}}"', { A: '12345678901234567890' }), '12345678901234567890');
    assert.equal(readValue('"80"'), '80');
  });

  test('that are missing are errors that name them', () => {
    assert.deepEqual(
      parseText('sluice.yaml', 'routes:\n  - id: a\n    uri: ${{NO_SUCH}}', { environment: {} }).errors.map(
        formatError,
      ),
      ['sluice.yaml:3:5: routes[0].uri: environment variable NO_SUCH is not set'],
    );
  });

  test('leave references of other kinds alone', () => {
    assert.equal(readValue('"$env://HOST"', { HOST: 'a' }), '$env://HOST');
    assert.equal(readValue('"$secret://vault/1/a/b"'), '$secret://vault/1/a/b');
    assert.equal(readValue('"$host ${x} {{y}}"', { host: 'a' }), '$host ${x} {{y}}');
  });

  test('in a key leave the positions below it right', () => {
    const text = 'upstreams:\n  - id: a\n    nodes:\n      "${{HOST}}:80": many';
    const file = parseText('sluice.yaml', text, { environment: { HOST: 'a' } });
    assert.deepEqual(file.positionOf(['upstreams', 0, 'nodes', 'a:80']), { line: 4, column: 7 });
  });
});
