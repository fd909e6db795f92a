// What was written elsewhere and arrives here: from a Store that others share, or from a control
// plane. Who wrote it has checked it, but perhaps with other Plugins or another version.

import { deepFreeze } from '../lib/json.ts';
import type { Change } from './change.ts';
import type { Configuration } from './configuration.ts';
import { ConfigError } from './errors.ts';
import type { Resource, Revision } from './resource.ts';
import { checkResource } from './resource-check.ts';
import { resourceKey } from './resource-index.ts';
import { resources } from './resources.ts';
import { openValue } from './secret-fields.ts';
import type { Snapshot } from './snapshot.ts';
import { resourceText } from './snapshot-digest.ts';
import type { StoreContent } from './store.ts';

/**
 * The Change that takes a Configuration to what has arrived, with sealed texts opened. Nothing is
 * changed yet.
 *
 * @throws ConfigError when something in it can't be taken here, naming it
 */
export function arrival(configuration: Configuration, step: Change | StoreContent): Change {
  const accept = (resource: Resource) => accepted(configuration, step.revision, resource);
  const named = 'puts' in step ? [...step.puts, ...step.removals] : step.resources;
  const stranger = named.find(({ kind }) => !Object.hasOwn(resources, kind));
  if (stranger !== undefined) {
    throw new ConfigError(
      `revision ${step.revision} can't be taken here: this version knows no ${stranger.kind}`,
    );
  }
  if ('puts' in step) return { ...step, puts: step.puts.map(accept) };
  return stepTo(configuration.snapshot, step.revision, step.resources.map(accept));
}

function accepted(configuration: Configuration, revision: Revision, resource: Resource): Resource {
  const { kind, id } = resource;
  const { plugins, sealing, expression } = configuration;
  const opened = openValue(resource, plugins, sealing);
  // References are not followed: a forced deletion may have left one behind.
  const failed = opened.ok ? checkResource(kind, id, opened.value, { plugins, expression }) : opened;
  if (failed !== undefined) {
    throw new ConfigError(`revision ${revision} can't be taken here: ${kind}/${id}: ${failed.message}`);
  }
  return deepFreeze({ ...resource, value: opened.ok ? opened.value : resource.value });
}

/** The step from what holds to a whole content. A resource that was made anew goes to the end of the order. */
function stepTo(snapshot: Snapshot, revision: Revision, content: readonly Resource[]): Change {
  const wanted = new Set(content.map(({ kind, id }) => resourceKey(kind, id)));
  const present = ({ kind, id }: Resource) => snapshot.get(kind, id);
  // Compared whole: two histories may have given one number to different things.
  const puts = content.filter((resource) => {
    const before = present(resource);
    return before === undefined || resourceText(before) !== resourceText(resource);
  });
  const again = puts.filter((resource) => {
    const before = present(resource);
    return before !== undefined && before.createdRevision !== resource.createdRevision;
  });
  const gone = snapshot.all().filter(({ kind, id }) => !wanted.has(resourceKey(kind, id)));
  return { revision, puts, removals: [...gone, ...again].map(({ kind, id }) => ({ kind, id })) };
}
