import type { Logger } from '../plugin/kit.ts';
import type { FromWorker } from './messages.ts';

/** So many lines per second; a Plugin that fails on each request must not drown the log. */
const LINES_PER_SECOND = 20;

/** A worker's log: the supervisor writes the lines. */
export class WorkerLog implements Logger {
  readonly #tell: (message: FromWorker) => void;
  #second = 0;
  #lines = 0;
  #suppressed = 0;

  constructor(tell: (message: FromWorker) => void) {
    this.#tell = tell;
  }

  error(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#line('error', message, fields);
  }

  warn(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#line('warn', message, fields);
  }

  info(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#line('info', message, fields);
  }

  debug(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#line('debug', message, fields);
  }

  #line(
    level: 'error' | 'warn' | 'info' | 'debug',
    message: string,
    fields: Readonly<Record<string, unknown>> | undefined,
  ): void {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      const suppressed = this.#suppressed;
      this.#second = second;
      this.#lines = this.#suppressed = 0;
      if (suppressed > 0)
        this.#tell({
          type: 'log',
          level: 'warn',
          message: `${suppressed} more lines suppressed`,
          fields: undefined,
        });
    }
    if (++this.#lines > LINES_PER_SECOND) this.#suppressed++;
    else this.#tell({ type: 'log', level, message, fields });
  }
}
