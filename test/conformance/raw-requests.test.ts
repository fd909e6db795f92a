// The list of raw requests and raw responses that tell proxies apart (RFC 9110, 9112): each goes
// through a real gateway as bytes, whole and byte by byte, to an Upstream that tolerates nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Gateway, route } from '../support/gateway.ts';
import { converse, OK, RawClient, RawUpstream, until } from '../support/raw.ts';

let upstream: RawUpstream;
let gateway: Gateway;
const cleanups: (() => Promise<void>)[] = [];

before(async () => {
  upstream = await RawUpstream.start();
  gateway = await Gateway.start(
    { after: (callback) => cleanups.push(callback) },
    {
      routes: [route('all', upstream.port, { enable_websocket: true })],
      limits: { maxHeadBytes: 16 * 1024, maxBodyBytes: 10_000 },
    },
  );
});
after(async () => {
  for (const cleanup of cleanups) await cleanup();
  await upstream.close();
});

const get = (...fields: string[]) => ['GET / HTTP/1.1', 'Host: a', ...fields, '', ''].join('\r\n');
const post = (body: string, ...fields: string[]) =>
  `${['POST / HTTP/1.1', 'Host: a', ...fields, '', ''].join('\r\n')}${body}`;
const chunked = (body: string) => post(body, 'Transfer-Encoding: chunked');
const named = (
  prefix: string,
  values: readonly string[],
  make: (value: string) => string,
): [string, string][] => values.map((value) => [`${prefix} ${JSON.stringify(value)}`, make(value)]);

/** What is refused with one of the statuses, and the connection closed. */
const REFUSED: Record<string, readonly [name: string, bytes: string][]> = {
  '400': [
    [
      'Content-Length and Transfer-Encoding',
      post('0\r\n\r\n', 'Content-Length: 4', 'Transfer-Encoding: chunked'),
    ],
    [
      'Transfer-Encoding and Content-Length',
      post('0\r\n\r\n', 'Transfer-Encoding: chunked', 'Content-Length: 5'),
    ],
    ['two different lengths', post('abcde', 'Content-Length: 4', 'Content-Length: 5')],
    ['two equal lengths', post('abcde', 'Content-Length: 5', 'Content-Length: 5')],
    ...named(
      'a length of',
      [
        '5, 6',
        '5, 5',
        '-1',
        '+5',
        '0x5',
        '5.0',
        '',
        ' ',
        '18446744073709551621',
        '\x0b5',
        '\xa05',
        'abc',
        '5 5',
      ],
      (length) => post('abcde', `Content-Length: ${length}`),
    ),
    ['chunked in HTTP/1.0', 'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a space before the colon of a coding', post('0\r\n\r\n', 'Transfer-Encoding : chunked')],
    ['a tab before the colon of a length', post('abcde', 'Content-Length\t: 5')],
    ['a field line that begins with a space', post('abcde', ' Content-Length: 5')],
    ['obs-fold', get('X-A: 1', '\tb')],
    ['Transfer_Encoding', post('0\r\n\r\n', 'Transfer_Encoding: chunked')],
    ['VT in a coding', post('0\r\n\r\n', 'Transfer-Encoding: \x0bchunked')],
    ['NUL in a coding', post('0\r\n\r\n', 'Transfer-Encoding: chunked\0')],
    ['bare LF line ends', 'GET / HTTP/1.1\nHost: a\n\n'],
    ['bare LF after a field', 'GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n'],
    ['bare CR in a value', get('X-A: a\rb')],
    ['NUL in a value', get('X-A: a\0b')],
    ['DEL in a value', get('X-A: a\x7fb')],
    ['a field without a colon', get('X-A')],
    ['a field without a name', get(': a')],
    ['a name that is no token', get('X(A): a')],
    ['no Host', 'GET / HTTP/1.1\r\nX-A: a\r\n\r\n'],
    ['two Hosts', get('Host: b')],
    ['two equal Hosts', get('Host: a')],
    ...named(
      'a Host of',
      [
        'a b',
        'a, b',
        'u@a',
        'a/b',
        'a?b',
        'a#b',
        'a\\b',
        '<a>',
        'a:',
        'a:0',
        'a:65536',
        'a:8x',
        ':80',
        '',
        'a\0',
      ],
      (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    ),
    ['userinfo in an absolute target', 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['another scheme', 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a bad Host beside an absolute target', 'GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n'],
    ['an asterisk with GET', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a lower-case method', 'get / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['no version', 'GET /\r\nHost: a\r\n\r\n'],
    ['a fragment', 'GET /#a HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a control byte in the target', 'GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['NUL in the target', 'GET /a\0 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a byte beyond ASCII in the target', 'GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ...named(
      'a chunk size of',
      [
        'g',
        '',
        '-1',
        '+1',
        '0x1',
        '1_0',
        ' 1',
        '1 ',
        '8000000000000000',
        'fffffffffffffffff',
        '1junk',
        '00000000000000001',
      ],
      (size) => chunked(`${size}\r\na\r\n0\r\n\r\n`),
    ),
    ['bare LF after a chunk size', chunked('1\na\r\n0\r\n\r\n')],
    ['bare CR after a chunk size', chunked('1\ra\r\n0\r\n\r\n')],
    ['bare LF after the data', chunked('1\r\na\n0\r\n\r\n')],
    ['bare LF at the end of the body', chunked('1\r\na\r\n0\n\n')],
    ['data longer than the chunk', chunked('1\r\nab\r\n0\r\n\r\n')],
    ['bare LF in a chunk extension', chunked('1;a\nb\r\na\r\n0\r\n\r\n')],
    ['white space in a chunk extension', chunked('1; a=b\r\na\r\n0\r\n\r\n')],
    ['a chunk extension without a name', chunked('1;\r\na\r\n0\r\n\r\n')],
    ['a chunk extension without an end', chunked(`1;${'a'.repeat(20_000)}\r\na\r\n0\r\n\r\n`)],
    ['trailers without an end', chunked(`0\r\nX-A: ${'a'.repeat(20_000)}\r\n\r\n`)],
    ['bare LF in a trailer', chunked('0\r\nX-A: a\nX-B: b\r\n\r\n')],
    ['a space before the colon of a trailer', chunked('0\r\nX-A : a\r\n\r\n')],
    ['obs-fold in a trailer', chunked('0\r\nX-A: a\r\n b\r\n\r\n')],
    ...named(
      'a trailer that must be a header,',
      [
        'Host',
        'Content-Length',
        'Transfer-Encoding',
        'transfer_encoding',
        'X-Consumer-Username',
        'Authorization',
      ],
      (name) => chunked(`0\r\n${name}: 1\r\n\r\n`),
    ),
  ],
  '400 501': [
    ...named(
      'a coding of',
      [
        'chunked, gzip',
        'xchunked',
        'chunked;q=1',
        '"chunked"',
        'gzip, chunked',
        'identity',
        '',
        'chunked, chunked',
        '\xe9chunked',
        '\x0cchunked',
      ],
      (coding) => post('0\r\n\r\n', `Transfer-Encoding: ${coding}`),
    ),
    ['obs-fold in a coding', post('0\r\n\r\n', 'Transfer-Encoding:', ' chunked')],
    ['chunked twice', post('0\r\n\r\n', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')],
  ],
  '400 505': [
    ...named(
      'version',
      ['HTTP/2.0', 'HTTP/9.9', 'HTTP/1.10', 'HTTP/0.9', 'http/1.1', 'HTTP/1.2', 'HTTP/1.1 '],
      (version) => `GET / ${version}\r\nHost: a\r\n\r\n`,
    ),
    ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ],
  '405': [
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ],
  '413': [
    ['a length above the limit', post('', 'Content-Length: 10001')],
    ['chunks above the limit', chunked(`2711\r\n${'a'.repeat(10_001)}\r\n0\r\n\r\n`)],
  ],
  '414': [['a target above the limit', `GET /${'a'.repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`]],
  '417': [['another expectation', get('Expect: 200-ok')]],
  '431': [
    ['a head above the limit', get(`X-A: ${'a'.repeat(17_000)}`)],
    ['too many fields', get(...Array.from({ length: 101 }, (_, i) => `X-${i}: 1`))],
    [
      'too many options of Connection',
      get(`Connection: ${Array.from({ length: 17 }, (_, i) => `x-${i}`).join()}`),
    ],
  ],
};

for (const [statuses, rows] of Object.entries(REFUSED)) {
  for (const [name, bytes] of rows) {
    test(`refuses ${name}`, async () => {
      // One byte at a time takes an event loop turn each; long ones go in larger pieces.
      for (const slice of [undefined, Math.ceil(bytes.length / 400)]) {
        gateway.records.length = upstream.requests.length = 0;
        const { text, ending } = await converse(
          gateway.port,
          `${bytes}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`,
          slice,
        );
        const status = /^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 'none';
        const how = slice === undefined ? 'whole' : 'in pieces';
        assert.ok(statuses.split(' ').includes(status), `${how}: got ${JSON.stringify(text)}`);
        assert.match(text, /\r\nConnection: close\r\n/, how);
        assert.equal(text.split('HTTP/1.1 ').length, 2, `${how}: one answer`);
        assert.notEqual(ending, 'open', how);
        const [record] = await gateway.recorded(1);
        assert.equal(record.status, Number(status));
        assert.notEqual(record.reason, '');
        assert.equal(record.clientAddress, '127.0.0.1');
        assert.deepEqual(upstream.requests, [], how);
        assert.deepEqual(
          upstream.problems.filter((problem) => !problem.startsWith('cut off: POST / HTTP/1.1')),
          [],
        );
        upstream.problems.length = 0;
      }
    });
  }
}

/** What goes on, and what the Upstream then gets. */
const PASSED: readonly [name: string, bytes: string, seen: (head: string, body: string) => boolean][] = [
  [
    'an escaped slash as sent',
    'GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n',
    (head) => head.startsWith('GET /a%2Fb HTTP'),
  ],
  [
    'the query as sent',
    'GET /a?b=%41&c=//../d?\\"{} HTTP/1.1\r\nHost: a\r\n\r\n',
    (head) => head.startsWith('GET /a?b=%41&c=//../d?\\"{} HTTP'),
  ],
  [
    'dot segments resolved',
    'GET /a/%2e%2E//b HTTP/1.1\r\nHost: a\r\n\r\n',
    (head) => head.startsWith('GET /b HTTP'),
  ],
  [
    'the authority of an absolute target',
    'GET http://h.example:81/p HTTP/1.1\r\nHost: a\r\n\r\n',
    (head) => head.startsWith('GET /p HTTP/1.1\r\nHost: h.example:81\r\n'),
  ],
  [
    'an absolute target without a path',
    'GET http://h.example?q HTTP/1.1\r\nHost: a\r\n\r\n',
    (head) => head.startsWith('GET /?q HTTP/1.1\r\nHost: h.example\r\n'),
  ],
  ['an empty line before the request', `\r\n${get()}`, (head) => head.startsWith('GET / ')],
  [
    'chunks with extensions and trailers',
    chunked('3;a=b;c="d\\"e"\r\nabc\r\n0;x\r\nX-T: 1\r\n\r\n'),
    (head, body) => head.includes('Transfer-Encoding: chunked') && body === 'abc',
  ],
  [
    'a body with a length',
    post('abcde', 'Content-Length:\t5 '),
    (head, body) => head.includes('Content-Length: 5') && body === 'abcde',
  ],
  [
    'no hop-by-hop fields',
    get(
      'Connection: keep-alive, X-Hop, Host, Authorization, Content-Length',
      'X-Hop: 1',
      'Authorization: k',
      'Keep-Alive: 5',
      'TE: trailers',
      'Upgrade: h2c',
      'HTTP2-Settings: AA',
      'Proxy-Connection: x',
      'Proxy-Authorization: x',
    ),
    (head) =>
      !/hop|keep-alive|te:|upgrade|http2|proxy/i.test(head) &&
      head.includes('\r\nHost: a\r\n') &&
      head.includes('\r\nAuthorization: k'),
  ],
  [
    'Expect without passing it on',
    post('abc', 'Expect: 100-continue', 'Content-Length: 3'),
    (head, body) => !/expect/i.test(head) && body === 'abc',
  ],
  [
    'no identity that a client claims',
    get(
      'X-Consumer-Username: root',
      'X-Credential-Identifier: 1',
      'X-Consumer-Custom-Id: 2',
      'X-Forwarded-For: 9.9.9.9',
      'X-Real-IP: 8.8.8.8',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: evil',
      'X-Forwarded-Port: 1',
      'Forwarded: for=9',
    ),
    (head) => !/root|9\.9|8\.8|https|evil|Credential|Custom|Forwarded: /.test(head),
  ],
];

for (const [name, bytes, seen] of PASSED) {
  test(`passes ${name}`, async () => {
    for (const slice of [undefined, 1]) {
      upstream.requests.length = upstream.problems.length = 0;
      const client = await RawClient.connect(gateway.port);
      if (slice === undefined) client.write(bytes);
      else await client.writeSliced(bytes, slice);
      await client.has('\r\n\r\nok');
      client.destroy();
      assert.equal(upstream.requests.length, 1);
      const [request] = upstream.requests;
      assert.ok(seen(request.head, request.body), request.head + request.body);
      assert.deepEqual(upstream.problems, []);
    }
  });
}

for (const target of ['/%zz', '/a%', '/%4', '/%00', '/a/%2e%2e/%0']) {
  test(`refuses the path ${target}, whose meaning is not clear`, async () => {
    const client = await RawClient.connect(gateway.port);
    upstream.requests.length = 0;
    client.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
    assert.match(await client.has('</html>'), /^HTTP\/1\.1 400 /);
    assert.equal(upstream.requests.length, 0);
    client.destroy();
  });
}

test('answers OPTIONS * itself', async () => {
  const client = await RawClient.connect(gateway.port);
  upstream.requests.length = 0;
  client.write('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await client.has('\r\n\r\n'), /^HTTP\/1\.1 404 /);
  assert.equal(upstream.requests.length, 0);
  client.destroy();
});

/** Responses that nobody may take for one: the client gets a 502 and the connection is thrown away. */
const BAD_RESPONSES: readonly [name: string, bytes: string][] = [
  ['a length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na'],
  [
    'a length and a coding',
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
  ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['another version', 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a status beyond 599', 'HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n'],
  ['junk', 'junk'.repeat(10)],
  ['junk that is shorter than a status line', 'ju'],
  ['HTTP/0.9', '<html>hello</html>'],
  ['bare LF line ends', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
  ['obs-fold', 'HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n'],
  ['NUL in a value', 'HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n'],
  ['a field without a colon', 'HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 0\r\n\r\n'],
  ['a head above the limit', `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(70_000)}\r\n\r\n`],
  [
    '101 that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  ],
  ['an early end', 'HTTP/1.1 200 OK\r\nContent-Le'],
];

for (const [name, bytes] of BAD_RESPONSES) {
  test(`answers 502 to a response with ${name}`, async (t) => {
    for (const slice of [undefined, Math.ceil(bytes.length / 300)]) {
      const bad = await RawUpstream.start({
        onRequest({ connection }) {
          if (slice === undefined) connection.write(bytes);
          const sent = slice === undefined ? Promise.resolve() : connection.writeSliced(bytes, slice);
          void sent.then(() => connection.socket.end());
        },
      });
      t.after(() => bad.close());
      const other = await Gateway.start(t, { routes: [route('all', bad.port)] });
      const client = await RawClient.connect(other.port);
      client.write(get());
      await client.has('</html>');
      assert.match(client.text, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
      assert.match(client.text, /\r\nConnection: keep-alive\r\n/);
      const [record] = await other.recorded(1);
      assert.deepEqual([record.status, record.source, record.attempts], [502, 'gateway', 1]);
      assert.match(record.reason, /^(bad_response|upstream_closed)$/);
      await until('the bad connection to be gone', () => bad.connections[0].closed);
      client.destroy();
    }
  });
}

test('aborts a response whose chunks turn out to be none', async (t) => {
  const bad = await RawUpstream.start({
    onRequest: () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
  });
  t.after(() => bad.close());
  const other = await Gateway.start(t, { routes: [route('all', bad.port)] });
  const client = await RawClient.connect(other.port);
  client.write(get());
  await client.has('abc');
  bad.connections[0].write('xyz\r\n0\r\n\r\n');
  await client.finished();
  assert.equal(client.ending, 'reset');
  const [record] = await other.recorded(1);
  assert.deepEqual([record.status, record.reason], [200, 'bad_response']);
});

test('never gives bytes after a response to the next client', async (t) => {
  const extra = await RawUpstream.start({
    onRequest: ({ number }) =>
      `${OK}${number === 1 ? 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON' : ''}`,
  });
  t.after(() => extra.close());
  const other = await Gateway.start(t, { routes: [route('all', extra.port)] });
  for (let i = 0; i < 3; i++) {
    const client = await RawClient.connect(other.port);
    client.write(get());
    await client.has('ok');
    client.write(get());
    const text = await client.has((received) => received.split('ok').length === 3);
    assert.ok(!text.includes('POISON'));
    client.destroy();
  }
  assert.equal(extra.connections.length, 6, 'every connection was thrown away');
});

test('never gives late bytes on an idle connection to the next client', async (t) => {
  const late = await RawUpstream.start({ onRequest: () => OK });
  t.after(() => late.close());
  const other = await Gateway.start(t, { routes: [route('all', late.port)] });
  const client = await RawClient.connect(other.port);
  client.write(get());
  await client.has('ok');
  late.connections[0].write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON');
  await until('the connection to be thrown away', () => late.connections[0].closed);
  client.write(get());
  assert.ok(!(await client.has((text) => text.split('ok').length === 3)).includes('POISON'));
  client.destroy();
});

test('takes HEAD, 204 and 304 for responses without a body, whatever their fields say', async (t) => {
  const bodiless = await RawUpstream.start({
    onRequest: ({ method, target }) =>
      method === 'HEAD'
        ? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'
        : `HTTP/1.1 ${target.slice(1)} X\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n`,
  });
  t.after(() => bodiless.close());
  const other = await Gateway.start(t, { routes: [route('all', bodiless.port)] });
  const client = await RawClient.connect(other.port);
  for (const [line, count] of [
    ['HEAD /', 1],
    ['GET /204', 2],
    ['GET /304', 3],
    ['HEAD /', 4],
  ] as const) {
    client.write(`${line} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.has((text) => text.split('HTTP/1.1 ').length === count + 1 && text.endsWith('\r\n\r\n'));
  }
  const responses = client.responses(['HEAD', 'GET', 'GET', 'HEAD']);
  assert.deepEqual(
    responses.map(({ status, fields }) => [status, fields.get('content-length')]),
    [
      [200, '5'],
      [204, undefined],
      [304, '5'],
      [200, '5'],
    ],
  );
  assert.equal(bodiless.connections.length, 1, 'the connection is used again');
  client.destroy();
});
