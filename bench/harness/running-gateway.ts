import type { Child } from './children.ts';

/** A gateway that answers requests. */
export interface RunningGateway {
  readonly child: Child;
  readonly port: number;
  /** Where it speaks TLS, if it does. */
  readonly tlsPort?: number;
}
