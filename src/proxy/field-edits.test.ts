import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { COMPLETE } from '../http/field-parser.ts';
import { Head } from '../http/head.ts';
import { output } from '../http/output.ts';
import { parseResponse } from '../http/response-parser.ts';
import { FieldEdits } from './field-edits.ts';

type Fields = [name: string, value: string][];

function headOf(fields: Fields): Head {
  const head = new Head();
  const bytes = Buffer.from(
    `HTTP/1.1 200 OK\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
    'latin1',
  );
  head.append(bytes, 0, bytes.length);
  assert.equal(parseResponse(head), COMPLETE);
  return head;
}

function written(edits: FieldEdits): string {
  output.begin();
  edits.write();
  return output.bytes.latin1Slice(0, output.length);
}

const name = fc.constantFrom('X-A', 'x-a', 'X-B', 'x_a', 'Set-Cookie', 'X-C');
const value = fc.constantFrom('', '1', 'two', 'a b', '\xe9', '3');
const edit = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), name, value }),
  fc.record({ kind: fc.constant('add' as const), name, value }),
  fc.record({ kind: fc.constant('remove' as const), name, value }),
);

test('behaves like a plain list of fields', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, value), { maxLength: 5 }),
      fc.array(edit, { maxLength: 6 }),
      (fields, list) => {
        const head = headOf(fields);
        const edits = new FieldEdits();
        let model = fields;
        for (const { kind, name: key, value: text } of list) {
          const others = model.filter(([other]) => other.toLowerCase() !== key.toLowerCase());
          if (kind === 'set') {
            edits.set(key, text);
            model = [...others, [key, text]];
          } else if (kind === 'remove') {
            edits.remove(key);
            model = others;
          } else {
            edits.add(key, text);
            model = [...model, [key, text]];
          }
        }
        assert.deepEqual(edits.entries(head), model);
        for (const lower of ['x-a', 'x-b', 'x_a', 'set-cookie', 'x-c', 'x-d']) {
          const expected = model.filter(([other]) => other.toLowerCase() === lower).map(([, text]) => text);
          assert.deepEqual(edits.values(head, lower), expected, lower);
          assert.equal(edits.get(head, lower), expected[0], lower);
          assert.equal(
            edits.has(lower),
            list.some((one) => one.name.toLowerCase() === lower),
            lower,
          );
        }
        const kept = fields.filter((_, index) => !edits.replaces(head, index));
        assert.equal(
          kept.map(([key, text]) => `${key}: ${text}\r\n`).join('') + written(edits),
          model.map(([key, text]) => `${key}: ${text}\r\n`).join(''),
        );
      },
    ),
    { numRuns: 1000 },
  );
});

test('refuses names and values that would become another field', () => {
  const edits = new FieldEdits();
  for (const bad of ['', 'a b', 'a:', 'a\r\n', 'é', 'a\0'])
    assert.throws(() => edits.set(bad, '1'), TypeError);
  for (const bad of ['a\r\nB: c', 'a\nb', 'a\0', 'a\x7f', '\x0b'])
    assert.throws(() => edits.add('X-A', bad), TypeError);
  assert.equal(edits.empty, true);
});

test('writes what is beyond latin1 as UTF-8, never cut down to control bytes', () => {
  const edits = new FieldEdits();
  edits.set('X-A', '\u010d\u010a');
  assert.equal(written(edits), `X-A: ${Buffer.from('\u010d\u010a').latin1Slice()}\r\n`);
});

test('leaves framing and connection to the engine', () => {
  const edits = new FieldEdits();
  for (const key of [
    'Content-Length',
    'transfer-encoding',
    'Connection',
    'Upgrade',
    'Keep-Alive',
    'Host',
    'Expect',
  ])
    edits.set(key, '1');
  edits.set('X-A', '1');
  assert.equal(written(edits), 'X-A: 1\r\n');
});
