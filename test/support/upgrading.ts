// The processes that take over from one another.

import type { Scope } from './echo-upstream.ts';
import { eventually } from './eventually.ts';
import type { SluiceProcess } from './process.ts';

const alive = new Set<number>();
process.on('exit', () => {
  for (const pid of alive) end(pid);
});

/** Ends successors with the test. To be made before the first process: what they share ends with the last. */
export class Upgrading {
  #current: number | undefined;

  constructor(scope: Scope) {
    scope.after(() => {
      if (this.#current !== undefined) end(this.#current);
    });
  }

  /** The id of the process that serves now. */
  pid(sluice: SluiceProcess): number {
    return this.#current ?? sluice.child.pid!;
  }

  /** Tells the process that serves now to make place for a new one; resolves to the old one's id when the new one serves. Looks at its log from the `from`th line on. */
  async upgrade(sluice: SluiceProcess, from = 0): Promise<number> {
    const old = this.pid(sluice);
    process.kill(old, 'SIGUSR2');
    const by = await eventually('a new process serves', () => {
      const failed = sluice.log.slice(from).find(({ message }) => message.startsWith('the upgrade failed'));
      if (failed !== undefined) throw new Error(failed.message);
      return sluice.log.find(
        ({ message, pid }) => message.startsWith('the new process serves') && pid === old,
      )?.by as number | undefined;
    }).catch((error) => {
      throw new Error(sluice.stderr, { cause: error });
    });
    alive.add((this.#current = by));
    return old;
  }
}

/** Whether a process has ended. */
export function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

function end(pid: number): void {
  alive.delete(pid);
  if (!hasEnded(pid)) process.kill(pid, 'SIGKILL');
}
