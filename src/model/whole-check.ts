import { deepEqual } from '../lib/json.ts';
import { withHint } from '../lib/schema-check.ts';
import type { Kind, Resource, Value } from './resource.ts';
import { type CheckEnvironment, checkResource } from './resource-check.ts';
import { groupMembersOf, groupMismatch, identitiesOf, resourceKey, usernameOf } from './resource-index.ts';

/** A resource that a Store or a file holds and that can't be accepted. The message holds no secret. */
export interface LoadError {
  readonly kind: Kind;
  readonly id: string;
  /** Position among the loaded resources of its kind. */
  readonly index: number;
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** The position of each among those of its kind. */
export function positionsOf(all: readonly { readonly kind: Kind }[]): number[] {
  const next = new Map<Kind, number>();
  return all.map(({ kind }) => {
    const position = next.get(kind) ?? 0;
    next.set(kind, position + 1);
    return position;
  });
}

/** Checks resources as a whole: each by itself, duplicates, and the references between them. */
export function checkWhole(
  all: readonly Resource[],
  environment: CheckEnvironment,
  withReferences: boolean,
): LoadError[] {
  const errors: LoadError[] = [];
  const byKey = new Map<string, Resource>();
  const owners = new Map<string, Resource>();
  const groups = new Map<string, Value>();
  const positions = positionsOf(all);
  for (const resource of all) byKey.set(resourceKey(resource.kind, resource.id), resource);
  const lookup = (kind: Kind, id: string) => byKey.get(resourceKey(kind, id));
  for (const [at, resource] of all.entries()) {
    const { kind, id } = resource;
    const index = positions[at];
    const report = (message: string, path: readonly (string | number)[] = []) =>
      errors.push({ kind, id, index, path, message });
    if (lookup(kind, id) !== resource) {
      report(`found duplicate ${kind === 'consumers' ? 'username' : 'id'} ${id} in ${kind}`);
      continue;
    }
    const failed = checkResource(kind, id, resource.value, {
      plugins: environment.plugins,
      expression: environment.expression,
      ...(withReferences && { lookup }),
    });
    if (failed !== undefined) {
      report(withHint(failed), failed.path);
      continue;
    }
    if (kind === 'credentials' && lookup('consumers', usernameOf(resource)) === undefined)
      report('consumer not found');
    for (const { plugin, identity } of identitiesOf(resource, environment.plugins)) {
      const claim = JSON.stringify([plugin, identity]);
      const owner = owners.get(claim);
      if (owner === undefined) owners.set(claim, resource);
      else
        report(`duplicate key of plugin ${plugin} found with consumer: ${usernameOf(owner)}`, [
          'plugins',
          plugin,
        ]);
    }
    // As with references, what a Store holds already is served: it was accepted once.
    if (!withReferences) continue;
    for (const { plugin, group, config } of groupMembersOf(resource, environment.plugins)) {
      const name = JSON.stringify([plugin, group]);
      const known = groups.get(name);
      if (known === undefined) groups.set(name, config);
      else if (!deepEqual(known, config)) report(groupMismatch(plugin), ['plugins', plugin]);
    }
  }
  return errors;
}
