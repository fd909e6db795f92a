import type { GeoSource } from '../model/geo-place.ts';
import type { Exchange } from './exchange.ts';

/** What an Exchange needs from the data plane of its thread. */
export interface ExchangeHost {
  /** Fills in what the connection knows: addresses, port, trust. */
  admit(exchange: Exchange): void;
  /** Matches, runs the Pipeline, forwards or replies. */
  decide(exchange: Exchange): void;
  /** Puts X-Real-IP and X-Forwarded-* into the output. */
  writeForwarded(exchange: Exchange): void;
  portText(port: number): string;
  onFailure(exchange: Exchange, error: unknown): void;
  record(exchange: Exchange): void;
  release(exchange: Exchange): void;
  /** Where clients are; undefined where nobody knows. */
  readonly geo: GeoSource | undefined;
  /** Largest body that may be held whole in memory, in bytes. */
  readonly maxCollectedBytes: number;
}
