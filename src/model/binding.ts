import type { Kind, Value } from './resource.ts';

/** Where a Binding was configured. */
export interface BindingPlace {
  readonly kind: Extract<
    Kind,
    | 'routes'
    | 'stream_routes'
    | 'services'
    | 'plugin_configs'
    | 'consumers'
    | 'consumer_groups'
    | 'global_rules'
  >;
  readonly id: string;
}

/** One configured use of a Plugin at one place. */
export interface Binding {
  readonly plugin: string;
  readonly place: BindingPlace;
  /** As it was sent, `_meta` included; defaults are not filled in. */
  readonly config: Value;
}
