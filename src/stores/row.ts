import type { Change, Removal } from '../model/change.ts';
import { KINDS, type Kind, type Resource, type Revision } from '../model/resource.ts';

/** A resource as columns, in the order in which the databases have them; the value is JSON. */
export type Row = readonly [
  kind: string,
  id: string,
  workspace: string,
  createdRevision: Revision,
  modifiedRevision: Revision,
  expiresAt: number | null,
  value: string,
];

/** A Change as it travels to a thread or a database: strings are cheaper to hand over than trees of objects. */
export interface ChangeRows {
  readonly revision: Revision;
  readonly puts: readonly Row[];
  readonly removals: readonly Removal[];
}

/** @throws TypeError when a value has no JSON form */
export function toRows({ revision, puts, removals }: Change): ChangeRows {
  return { revision, puts: puts.map(toRow), removals };
}

function toRow(resource: Resource): Row {
  const { kind, id, workspace, createdRevision, modifiedRevision, expiresAt, value } = resource;
  return [kind, id, workspace, createdRevision, modifiedRevision, expiresAt ?? null, JSON.stringify(value)];
}

const kinds = new Set<string>(KINDS);

/** @throws Error saying what is wrong with the row, without its content */
export function fromRow([
  kind,
  id,
  workspace,
  createdRevision,
  modifiedRevision,
  expiresAt,
  text,
]: Row): Resource {
  if (!isKind(kind)) throw new Error(`the kind "${kind}" is unknown`);
  const resource = { kind, id, workspace, createdRevision, modifiedRevision, value: parse(text, kind, id) };
  return expiresAt === null ? resource : { ...resource, expiresAt };
}

function isKind(kind: string): kind is Kind {
  return kinds.has(kind);
}

function parse(text: string, kind: Kind, id: string): Resource['value'] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Falls through: the parser's message would quote the value, which may hold secrets.
  }
  if (typeof value !== 'object' || value === null)
    throw new Error(`the value of ${kind}/${id} is no JSON object`);
  return value as Resource['value'];
}
