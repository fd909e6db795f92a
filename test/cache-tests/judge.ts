import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Origin, SeenRequest } from './origin.ts';
import { fieldValue, type RequestSpec, type TestSpec } from './suite.ts';

/** What came of one test: it passed, it failed, or it could not be made. */
export type Verdict = { readonly result: 'pass' | 'fail' | 'setup'; readonly message: string };

class Failure extends Error {
  readonly setup: boolean;

  constructor(setup: boolean, message: string) {
    super(message);
    this.setup = setup;
  }
}

interface Answer {
  readonly status: number;
  /** By lower-case name, several joined by comma and space. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly interim: readonly { readonly status: number; readonly headers: http.IncomingHttpHeaders }[];
}

/** Makes a test's requests through the cache and judges what came back and what the origin saw. */
export async function judge(test: TestSpec, origin: Origin, port: number): Promise<Verdict> {
  const token = randomUUID();
  const seen = origin.expect(token, test.requests);
  const answers: Answer[] = [];
  try {
    for (const [index, spec] of test.requests.entries()) {
      const answer = await send(port, token, spec, index, answers.at(-1), test.id);
      answers.push(answer);
      checkAnswer(spec, index + 1, answer, token);
      if (spec.pause_after) await sleep(3000);
    }
    checkOrigin(test.requests, answers, seen);
    return { result: 'pass', message: '' };
  } catch (error) {
    if (error instanceof Failure) return { result: error.setup ? 'setup' : 'fail', message: error.message };
    return { result: 'fail', message: String(error) };
  }
}

function check(setup: boolean, holds: boolean, message: string): void {
  if (!holds) throw new Failure(setup, message);
}

function isSetup(spec: RequestSpec, member: string): boolean {
  return spec.setup === true || spec.setup_tests?.includes(member) === true;
}

function send(
  port: number,
  token: string,
  spec: RequestSpec,
  index: number,
  previous: Answer | undefined,
  id: string,
): Promise<Answer> {
  const fields = new Map<string, string[]>([
    ['Pragma', ['foo']],
    ['Cache-Control', ['nothing-to-see-here']],
    ['Accept', ['*/*']],
  ]);
  for (const [name, given] of spec.request_headers ?? []) {
    const now = Number(previous?.headers.get('server-now') ?? Date.now());
    const value = fieldValue(name, given, spec, now, '').trim();
    const key = [...fields.keys()].find((own) => own.toLowerCase() === name.toLowerCase()) ?? name;
    fields.set(key, [...(fields.get(key) ?? []), value]);
  }
  fields.set('Test-ID', [id]);
  fields.set('Test-Token', [token]);
  fields.set('Req-Num', [String(index + 1)]);
  const path = `/test/${token}${spec.filename ? `/${spec.filename}` : ''}${spec.query_arg ? `?${spec.query_arg}` : ''}`;
  return new Promise((resolve, reject) => {
    const interim: { status: number; headers: http.IncomingHttpHeaders }[] = [];
    const request = http.request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: spec.request_method ?? 'GET',
        headers: Object.fromEntries([...fields].map(([name, values]) => [name, values.join(', ')])),
        agent: false,
        timeout: 10_000,
      },
      (response) => {
        const headers = new Map<string, string>();
        for (let at = 0; at < response.rawHeaders.length; at += 2) {
          const name = response.rawHeaders[at].toLowerCase();
          const value = response.rawHeaders[at + 1];
          headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
        }
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (part) => {
          body += part;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers, body, interim }));
      },
    );
    request.on('information', (information) =>
      interim.push({ status: information.statusCode, headers: information.headers }),
    );
    request.on('timeout', () => request.destroy(new Error('no answer in 10 s')));
    request.on('error', reject);
    request.end(spec.request_body);
  });
}

function checkAnswer(spec: RequestSpec, number: number, answer: Answer, token: string): void {
  const { headers, status } = answer;
  const count = Number.parseInt(headers.get('server-request-count') ?? '', 10);
  const numbers = headers.get('request-numbers')?.split(' ') ?? [];
  check(true, new Set(numbers).size === numbers.length, 'retry');
  if (spec.expected_type === 'cached' && !(status === 304 && Number.isNaN(count)))
    check(isSetup(spec, 'expected_type'), count < number, `response ${number} does not come from the cache`);
  if (spec.expected_type === 'not_cached')
    check(isSetup(spec, 'expected_type'), count === number, `response ${number} comes from the cache`);

  if (spec.expected_status !== undefined) {
    if (spec.expected_status !== null)
      check(
        isSetup(spec, 'expected_status'),
        status === spec.expected_status,
        `response ${number} is a ${status}`,
      );
  } else if (spec.response_status !== undefined)
    check(true, status === spec.response_status[0], `response ${number} is a ${status}`);
  else if (status === 999) check(isSetup(spec, 'expected_type'), false, `request ${number} had no condition`);
  else check(true, status === 200, `response ${number} is a ${status}`);

  for (const wanted of spec.expected_response_headers ?? []) {
    const setup = isSetup(spec, 'expected_response_headers');
    const name = (typeof wanted === 'string' ? wanted : wanted[0]).toLowerCase();
    const value = headers.get(name);
    if (typeof wanted === 'string' || wanted.length > 2)
      check(setup, value !== undefined, `response ${number} has no ${name}`);
    if (typeof wanted === 'string') continue;
    const [, expected, operand] = wanted;
    if (operand !== undefined && expected === '=')
      check(setup, value === headers.get(String(operand).toLowerCase()), `${name} is not ${operand}`);
    else if (operand !== undefined)
      check(
        setup,
        Number.parseInt(value!, 10) > Number(operand),
        `${name} is ${value}, not above ${operand}`,
      );
    else {
      const now = Number(headers.get('server-now'));
      const exact = fieldValue(name, expected, spec, now, headers.get('server-base-url') ?? '');
      check(setup, value === exact, `response ${number}: ${name} is ${value}, not ${exact}`);
    }
  }
  for (const unwanted of spec.expected_response_headers_missing ?? []) {
    if (typeof unwanted !== 'string') continue; // As the suite's own engine has it.
    check(
      isSetup(spec, 'expected_response_headers_missing'),
      !headers.has(unwanted.toLowerCase()),
      `response ${number} has ${unwanted}`,
    );
  }
  for (const [index, [status, fields = []]] of (spec.expected_interim_responses ?? []).entries()) {
    const setup = isSetup(spec, 'expected_interim_responses');
    const came = answer.interim[index];
    check(setup, came?.status === status, `interim response ${index + 1} is ${came?.status}`);
    for (const [name] of fields) check(setup, name in came.headers, `interim response without ${name}`);
  }
  checkBody(spec, answer, token);
}

function checkBody(spec: RequestSpec, { body, status }: Answer, token: string): void {
  if (spec.check_body === false) return;
  if (spec.expected_response_text !== undefined) {
    if (spec.expected_response_text !== null)
      check(
        isSetup(spec, 'expected_response_text'),
        body === spec.expected_response_text,
        `the body is ${body}`,
      );
  } else if (spec.response_body !== undefined && spec.response_body !== null)
    check(true, body === spec.response_body, `the body is ${body}`);
  else if (status !== 204 && status !== 304 && spec.request_method !== 'HEAD')
    check(true, body === token, `the body is ${body}`);
}

function checkOrigin(
  requests: readonly RequestSpec[],
  answers: readonly Answer[],
  seen: readonly SeenRequest[],
): void {
  let at = 0;
  for (const [index, spec] of requests.entries()) {
    const number = index + 1;
    const type = spec.expected_type;
    if (type === 'cached') continue;
    const request = seen[at++];
    const setup = isSetup(spec, 'expected_type');
    if (type === 'not_cached')
      check(setup, request?.number === number, `response ${number} comes from the cache`);
    const condition =
      type === 'etag_validated' ? 'if-none-match' : type === 'lm_validated' ? 'if-modified-since' : undefined;
    if (condition !== undefined)
      check(setup, request?.headers[condition] !== undefined, `request ${number} has no ${condition}`);
    for (const wanted of spec.expected_request_headers ?? []) {
      const own = isSetup(spec, 'expected_request_headers');
      const name = typeof wanted === 'string' ? wanted : wanted[0];
      const value = request?.headers[name.toLowerCase()];
      const holds = typeof wanted === 'string' ? value !== undefined : value === wanted[1];
      check(own, holds, `request ${number}: ${name} is ${value}`);
    }
    for (const unwanted of spec.expected_request_headers_missing ?? []) {
      const own = isSetup(spec, 'expected_request_headers_missing');
      const name = typeof unwanted === 'string' ? unwanted : unwanted[0];
      const value = request?.headers[name.toLowerCase()];
      const holds = typeof unwanted === 'string' ? value === undefined : value !== unwanted[1];
      check(own, holds, `request ${number}: ${name} is ${value}`);
    }
    for (const [name, value] of request?.checked ?? []) {
      if (name.toLowerCase() === 'date') continue;
      const came = answers[index]?.headers.get(name.toLowerCase());
      check(true, came === value, `response ${number}: ${name} is ${came}, not ${value}`);
    }
    if (spec.expected_method !== undefined)
      check(
        isSetup(spec, 'expected_method'),
        request?.method === spec.expected_method,
        `request ${number} was a ${request?.method}`,
      );
  }
}
