import type { Schema, Static } from '../lib/schema.ts';
import type { Kind } from './resource.ts';

/** What a check may ask besides the value itself. */
export interface CheckContext {
  /** Why an expression (`vars`) is wrong, or undefined. */
  expression(expression: readonly unknown[]): string | undefined;
}

/** One kind of resource: all that the Admin API, the Stores and the declarative file need to know of it. */
export interface ResourceDefinition<S extends Schema = Schema> {
  readonly kind: Kind;
  /** What error texts call one of them: `wrong route id`. */
  readonly noun: string;
  /** What error texts call one of them that uses another: `stream_route [1] is still using it now`. */
  readonly label: string;
  /** One sentence for docs and OpenAPI. */
  readonly summary: string;
  readonly schema: S;
  /** Methods of the Admin API that this kind does not have. */
  readonly unsupported: readonly ('POST' | 'PATCH')[];
  /** What its `plugins` are: Bindings; Bindings and credentials; credentials alone; or it has none. */
  readonly plugins: 'bindings' | 'streams' | 'consumer' | 'credential' | 'none';
  /** How the refusal to delete one in use calls it, for example `this service directly`. */
  readonly inUse: string;
  /** Looked at before the schema. Returns an error text, or undefined. */
  precheck?(value: Readonly<Record<string, unknown>>): string | undefined;
  /** What the schema can't say; gets the value with defaults filled in. Returns an error text, or undefined. */
  check?(value: Static<S>, context: CheckContext): string | undefined;
}

type Given<S extends Schema> = Pick<ResourceDefinition<S>, 'kind' | 'noun' | 'summary' | 'schema'> &
  Partial<ResourceDefinition<S>>;

export function defineResource<S extends Schema>(given: Given<S>): ResourceDefinition<S> {
  return {
    label: given.noun.replaceAll(' ', '_'),
    unsupported: [],
    plugins: 'none',
    inUse: `this ${given.noun}`,
    ...given,
  };
}
