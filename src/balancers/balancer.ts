import type { VariableSource } from '../plugin/variable.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  readonly priority: number;
  /** `host:port`. */
  readonly key: string;
}

export interface Balancer<T extends Target = Target> {
  /** undefined when every Target was tried. */
  pick(subject: VariableSource, tried: readonly T[]): T | undefined;
  started?(target: T): void;
  finished?(target: T, latencyMs: number, failed: boolean): void;
}
