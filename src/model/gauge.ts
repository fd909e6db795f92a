/** The numbers that Plugins show in the metrics, with what they mean. */
export const GAUGES = {
  sluice_canary_share: 'Percent of the requests that a canary gets',
} as const;

export type GaugeName = keyof typeof GAUGES;

/** A number that a Binding shows on a Route. */
export interface GaugeReading {
  readonly name: GaugeName;
  /** Names the Binding; the same in all workers. */
  readonly key: string;
  readonly route: string;
  /** undefined takes it away. */
  readonly value: number | undefined;
}
