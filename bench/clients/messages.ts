// What the benchmarks and the clients that they start as processes tell each other.

/** When a request was sent (Unix milliseconds, with fractions) and how long its answer took. */
export interface Sample {
  readonly at: number;
  readonly milliseconds: number;
}

export type ToClient =
  | { readonly type: 'open'; readonly connections: number }
  | { readonly type: 'count' | 'close' | 'finish' };

export type FromClient =
  | { readonly type: 'opened' | 'closed' }
  | { readonly type: 'counted'; readonly count: number }
  | { readonly type: 'samples'; readonly samples: readonly Sample[] }
  | { readonly type: 'failed'; readonly message: string };
