// Asks a running gateway for an explanation.

import { readFileSync } from 'node:fs';
import type { EvaluateOptions } from '../proxy/evaluator.ts';
import type { EvaluationRequest, Explanation } from '../proxy/explanation.ts';
import { UsageError } from './usage-error.ts';

const KEY_FILE = '.sluice/admin.key';

export async function explainByAdmin(
  admin: string,
  key: string | undefined,
  { headers = [], ...request }: EvaluationRequest & EvaluateOptions,
): Promise<Explanation> {
  const url = endpoint(admin);
  const fields: Record<string, string[]> = {};
  for (const [name, value] of headers) {
    fields[name] ??= [];
    fields[name].push(value);
  }
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'X-API-KEY': keyFrom(key), 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...request, headers: fields }),
      redirect: 'error',
    });
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const cause =
      error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new Error(
      `no Admin API answers at ${url.origin} (${cause}); name another with --admin, or explain by a file with --config`,
    );
  }
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as Explanation;
  throw new Error(`the Admin API at ${url.origin} refuses: ${response.status} ${reasonIn(text)}`);
}

function endpoint(admin: string): URL {
  try {
    const url = new URL(admin.includes('://') ? admin : `http://${admin}`);
    return new URL('/apisix/admin/explain', url);
  } catch {
    throw new UsageError(`--admin wants a URL like http://127.0.0.1:9180; got ${admin}`);
  }
}

function keyFrom(given: string | undefined): string {
  const key = given ?? process.env.SLUICE_ADMIN_KEY ?? '';
  if (key !== '') return key;
  try {
    return readFileSync(KEY_FILE, 'utf8').trim();
  } catch {
    throw new UsageError(`which key? Give --key, or set SLUICE_ADMIN_KEY; there is none in ${KEY_FILE}`);
  }
}

function reasonIn(text: string): string {
  try {
    const { error_msg: message, description } = JSON.parse(text) as {
      error_msg?: unknown;
      description?: unknown;
    };
    return [message, description].filter((part) => part !== undefined).join(': ');
  } catch {
    return '';
  }
}
