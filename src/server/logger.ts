import { styleText } from 'node:util';
import type { Logger } from '../plugin/kit.ts';

type Level = 'error' | 'warn' | 'info' | 'debug';
const COLOURS = { error: 'red', warn: 'yellow', info: 'green', debug: 'gray' } as const;

/** The process's own log, on stderr: lines for people on a terminal, JSON lines elsewhere. */
export class StderrLogger implements Logger {
  readonly #debug = process.env.SLUICE_LOG_LEVEL === 'debug';
  readonly #terminal = process.stderr.isTTY === true;

  error(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.write('error', message, fields);
  }

  warn(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.write('warn', message, fields);
  }

  info(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.write('info', message, fields);
  }

  debug(message: string, fields?: Readonly<Record<string, unknown>>): void {
    if (this.#debug) this.write('debug', message, fields);
  }

  write(level: Level, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const time = new Date().toISOString();
    if (this.#terminal) {
      const rest = Object.entries(fields).filter(([, value]) => value !== undefined && value !== '');
      const details = rest.map(
        ([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      );
      process.stderr.write(`${styleText(COLOURS[level], level)} ${message}${details.join('')}\n`);
    } else process.stderr.write(`${JSON.stringify({ time, level, message, ...fields })}\n`);
  }
}
