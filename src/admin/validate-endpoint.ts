import { isObject } from '../lib/json.ts';
import type { Configuration } from '../model/configuration.ts';
import { KINDS, type Kind } from '../model/resource.ts';
import { checkResource } from '../model/resource-check.ts';
import { openValue } from '../model/secret-fields.ts';
import { type AdminReply, errorReply } from './admin-reply.ts';
import { parseJson } from './body.ts';

interface ItemError {
  readonly resource_type: string;
  readonly resource_id?: string;
  readonly index?: number;
  readonly error: string;
}

/** `POST /configs/validate`: a whole configuration, as JSON or YAML; references are not followed. */
export async function validateConfiguration(
  configuration: Configuration,
  text: string,
  contentType: string,
): Promise<AdminReply> {
  if (text === '') return errorReply(400, 'invalid request body: empty request body');
  const parsed = contentType.startsWith('application/yaml') ? await parseYaml(text) : parseJson(text);
  if (!parsed.ok) return errorReply(400, String((parsed.reply.body as { error_msg?: unknown }).error_msg));
  if (!isObject(parsed.value)) return errorReply(400, 'invalid request body: expected an object');
  const errors = KINDS.flatMap((kind) =>
    checkKind(configuration, kind, parsed.value as Record<string, unknown>),
  );
  if (errors.length === 0) return { status: 200, body: {} };
  return { status: 400, body: { error_msg: 'Configuration validation failed', errors } };
}

async function parseYaml(text: string): Promise<ReturnType<typeof parseJson>> {
  const { parse } = await import('yaml');
  try {
    const value: unknown = parse(text, { maxAliasCount: 100 });
    if (isObject(value)) return { ok: true, value };
  } catch {
    // The parser's own text may quote the document.
  }
  return { ok: false, reply: errorReply(400, 'invalid request body: invalid yaml request body') };
}

function checkKind(
  configuration: Configuration,
  kind: Kind,
  whole: Readonly<Record<string, unknown>>,
): ItemError[] {
  const errors: ItemError[] = [];
  const version = whole[`${kind}_conf_version`];
  if (version !== undefined && typeof version !== 'number') {
    const got = version === null ? 'userdata' : typeof version === 'object' ? 'table' : typeof version;
    errors.push({ resource_type: kind, error: `${kind}_conf_version must be a number, got ${got}` });
  }
  const items = whole[kind];
  if (!Array.isArray(items)) return errors;
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const { id, message } = checkItem(configuration, kind, item);
    const place = { resource_type: kind, ...(id !== '' && { resource_id: id }), index };
    if (message !== undefined)
      errors.push({ ...place, error: `invalid ${kind} at index ${index}, err: ${message}` });
    if (id === '') continue;
    const field = kind === 'consumers' && isObject(item) && item.id === undefined ? 'username' : 'id';
    if (seen.has(id)) errors.push({ ...place, error: `found duplicate ${field} ${id} in ${kind}` });
    seen.add(id);
  }
  return errors;
}

function checkItem(
  configuration: Configuration,
  list: Kind,
  item: unknown,
): { id: string; message?: string } {
  if (!isObject(item)) return { id: '', message: 'wrong type: expected object, got ' + typeof item };
  const id = String(item.id ?? (list === 'consumers' ? (item.username ?? '') : ''));
  // A Credential stands among the Consumers, told by its id.
  const kind = list === 'consumers' && id.includes('/credentials/') ? 'credentials' : list;
  if (kind === 'secrets' && !id.includes('/')) return { id, message: `invalid secret id: ${id}` };
  const opened = openValue({ kind, id, value: item }, configuration.plugins, configuration.sealing);
  const failed = opened.ok
    ? checkResource(kind, id, opened.value, {
        plugins: configuration.plugins,
        expression: configuration.expression,
      })
    : opened;
  return { id, message: failed?.message };
}
