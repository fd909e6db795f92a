import type { Logger } from '../plugin/kit.ts';
import type { HandedSocket } from './predecessor.ts';

export interface Stopping {
  /**
   * Milliseconds that connections get to bring what is on its way to them, while a new process accepts
   * already: a new one its handshake and first request, a kept one its next. 0 when nobody does.
   */
  readonly lullMs: number;
}

/** What takes part in the life of a process. */
export interface Served {
  /** Stops accepting, finishes what is under way, closes everything. */
  stop(stopping: Stopping): Promise<void>;
  /** All that listen. */
  sockets(): readonly HandedSocket[];
  /** Lets go of what only one process may hold. */
  letGo?(): Promise<void>;
  /** Takes that back: the new process has failed. */
  takeBack?(): Promise<void>;
}

const LULL_MS = 2_000;
/** How long a new process may take until it serves. */
const PATIENCE_MS = 60_000;

/**
 * Ends in order on SIGTERM or SIGINT; a second signal ends at once. On SIGUSR2 a new process is
 * started, gets the sockets, and this one ends when that one serves.
 */
export function obeySignals(log: Logger, served: Served): void {
  let stopping = false;
  let upgrade: AbortController | undefined;
  const end = (stop: Stopping): void => {
    stopping = true;
    served.stop(stop).then(
      () => process.exit(0),
      (error: Error) => {
        log.error(`stopping failed: ${error.message}`);
        process.exit(1);
      },
    );
  };
  const onEnd = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    upgrade?.abort();
    log.info(`${signal}: finishing what is under way`);
    end({ lullMs: 0 });
  };
  process.on('SIGTERM', onEnd);
  process.on('SIGINT', onEnd);
  process.on('SIGUSR2', () => {
    const reason = refusal(stopping, upgrade !== undefined);
    if (reason !== undefined) return log.warn(`SIGUSR2: ${reason}`);
    log.info('SIGUSR2: starting a new process to take over', { pid: process.pid });
    const controller = (upgrade = new AbortController());
    replace(served, controller.signal)
      .then(
        (pid) => {
          if (stopping) return;
          log.info('the new process serves; this one finishes what is under way', {
            pid: process.pid,
            by: pid,
          });
          end({ lullMs: LULL_MS });
        },
        (error: Error) => {
          if (!stopping) log.error(`the upgrade failed, and this process goes on: ${error.message}`);
        },
      )
      .finally(() => {
        upgrade = undefined;
      });
  });
}

function refusal(stopping: boolean, upgrading: boolean): string | undefined {
  if (stopping) return 'this process is ending already';
  if (upgrading) return 'a new process is starting already';
  if (process.platform === 'win32') return 'there are no upgrades in place on Windows';
  // Whoever has it as the first process of a container ends the container with it.
  if (process.pid === 1) return "as process 1 of a container it can't be replaced; start a new container";
  return undefined;
}

async function replace(served: Served, signal: AbortSignal): Promise<number> {
  const { ownCommand, startSuccessor } = await import('./successor.ts');
  let away = false;
  try {
    return await startSuccessor({
      command: ownCommand(),
      sockets: served.sockets(),
      letGo: async () => {
        away = true;
        await served.letGo?.();
      },
      patienceMs: PATIENCE_MS,
      signal,
    });
  } catch (error) {
    const { message } = error as Error;
    if (away && !signal.aborted) {
      await served.takeBack?.().catch((reason: Error) => {
        throw new Error(`${message}; writes are refused until a restart: ${reason.message}`);
      });
    }
    throw error;
  }
}
