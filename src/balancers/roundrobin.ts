import type { VariableSource } from '../plugin/variable.ts';
import { type Balancer, defineBalancer, type Target } from './balancer.ts';
import type { Ticket } from './balancer-state.ts';

/** Targets × sum of weights, above which the sequence isn't worked out in advance. */
const MOST_STEPS = 1 << 20;

export const roundrobin = defineBalancer({
  name: 'roundrobin',
  summary: 'Gives Targets their turns by weight, evenly interleaved, across all workers.',
  create(targets, options, state) {
    const divisor = targets.reduce((a, target) => gcd(a, target.weight), 0);
    const weights = targets.map((target) => target.weight / divisor);
    const sum = weights.reduce((a, b) => a + b);
    if (sum * targets.length > MOST_STEPS) return new LocalRoundRobin(targets);
    const priority = targets[0].priority;
    const ticket = state.ticket(`roundrobin/${options.upstream}/${priority}`);
    return new SharedRoundRobin(targets, smoothSequence(weights, sum), ticket);
  },
});

function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

/**
 * One turn of nginx' smooth weighted round robin, as indexes: at each step every current value
 * grows by its weight, the largest is chosen and falls by the sum. 5, 1, 1 makes A A B A C A A.
 */
export function smoothSequence(weights: readonly number[], sum: number): Uint32Array {
  const sequence = new Uint32Array(sum);
  const current = new Float64Array(weights.length);
  for (let step = 0; step < sum; step++) {
    let best = 0;
    for (let i = 0; i < weights.length; i++) {
      current[i] += weights[i];
      if (current[i] > current[best]) best = i;
    }
    current[best] -= sum;
    sequence[step] = best;
  }
  return sequence;
}

/** All workers draw from one ticket and look up whose turn that is: exact, whichever worker asks. */
class SharedRoundRobin implements Balancer {
  readonly #targets: readonly Target[];
  readonly #sequence: Uint32Array;
  readonly #ticket: Ticket;

  constructor(targets: readonly Target[], sequence: Uint32Array, ticket: Ticket) {
    this.#targets = targets;
    this.#sequence = sequence;
    this.#ticket = ticket;
  }

  pick(_subject: VariableSource, tried: readonly Target[]): Target | undefined {
    const length = this.#sequence.length;
    const turn = this.#ticket.next() % length;
    for (let i = 0; i < length; i++) {
      const target = this.#targets[this.#sequence[(turn + i) % length]];
      if (!tried.includes(target)) return target;
    }
    return undefined;
  }
}

/** For weights whose turn is too long to keep (10 000 to 9999): smooth too, but each worker for itself. */
class LocalRoundRobin implements Balancer {
  readonly #targets: readonly Target[];
  readonly #current: Float64Array;

  constructor(targets: readonly Target[]) {
    this.#targets = targets;
    this.#current = new Float64Array(targets.length);
  }

  pick(_subject: VariableSource, tried: readonly Target[]): Target | undefined {
    let best = -1;
    let sum = 0;
    for (let i = 0; i < this.#targets.length; i++) {
      const target = this.#targets[i];
      if (tried.includes(target)) continue;
      sum += target.weight;
      this.#current[i] += target.weight;
      if (best < 0 || this.#current[i] > this.#current[best]) best = i;
    }
    if (best < 0) return undefined;
    this.#current[best] -= sum;
    return this.#targets[best];
  }
}
