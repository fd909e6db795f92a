import type { MaybePromise, Outcome } from '../plugin/define-plugin.ts';
import type { Reply } from '../plugin/reply.ts';
import type { Exchange } from './exchange.ts';
import type { ExplainedStep, NamedBinding } from './explanation.ts';
import type { NamedStep, Step } from './pipeline.ts';
import { shownField, shownQuery } from './redaction.ts';

interface Seen {
  readonly filter: boolean | undefined;
  outcome: ExplainedStep['outcome'];
  detail: string | undefined;
  changes: readonly string[];
}

/** Watches the steps of one Exchange. */
export class StepTrace {
  readonly #seen = new Map<NamedStep, Seen>();
  /** The Binding whose Reply ended the Exchange. */
  replied: NamedBinding | null = null;
  /** The Binding that said who the caller is. */
  recognised: NamedBinding | null = null;

  /** The same step, watched. */
  watch(step: Step): Step {
    return { ...step, run: (exchange) => this.#run(step, exchange) };
  }

  /** What a step did; undefined when it was not reached. */
  of(step: NamedStep): Omit<ExplainedStep, keyof NamedBinding | 'phase' | 'priority'> | undefined {
    const seen = this.#seen.get(step);
    if (seen === undefined) return undefined;
    return {
      ...(seen.filter !== undefined && { filter: seen.filter }),
      outcome: seen.outcome,
      ...(seen.detail !== undefined && { detail: seen.detail }),
      ...(seen.changes.length > 0 && { changes: seen.changes }),
    };
  }

  #run(step: Step, exchange: Exchange): MaybePromise<Outcome> {
    const filter = step.filter?.(exchange);
    const seen: Seen = { filter, outcome: 'failed', detail: undefined, changes: [] };
    this.#seen.set(step, seen);
    const before = observe(exchange);
    const finish = (outcome: Outcome): Outcome => {
      const after = observe(exchange);
      seen.changes = differences(before, after);
      seen.outcome = filter === false ? 'filtered' : outcome === undefined ? 'passed' : 'replied';
      const { plugin, place } = step;
      if (after.consumer !== before.consumer) this.recognised = { plugin, place };
      if (outcome === undefined) return undefined;
      seen.detail = describe(outcome as Reply);
      this.replied = { plugin, place };
      return outcome;
    };
    const outcome = step.run(exchange);
    return outcome instanceof Promise ? outcome.then(finish) : finish(outcome);
  }
}

function describe({ status, reason }: Reply): string {
  return reason === undefined ? String(status) : `${status} ${reason}`;
}

/** What a step can change. */
interface Observation {
  readonly values: Readonly<Record<string, string>>;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly consumer: unknown;
}

function observe(exchange: Exchange): Observation {
  const { request, upstream, consumer, credentialId } = exchange;
  return {
    values: {
      method: upstream.method,
      path: upstream.path,
      query: shownQuery(upstream.query),
      host: upstream.host ?? '',
      scheme: upstream.scheme ?? '',
      'client address': request.clientAddress,
      consumer: `${consumer?.username ?? ''}${credentialId === undefined ? '' : ` (${credentialId})`}`,
      upstream: exchange.chosenUpstream?.key ?? '',
      cache: exchange.cacheStatus,
    },
    fields: request.headers(),
    consumer,
  };
}

function differences(before: Observation, after: Observation): string[] {
  const lines: string[] = [];
  for (const [name, value] of Object.entries(after.values)) {
    const old = before.values[name];
    if (old !== value) lines.push(old === '' ? `${name}: ${value}` : `${name}: ${old} -> ${value}`);
  }
  const had = new Set(before.fields.map(fieldText));
  const has = new Set(after.fields.map(fieldText));
  const names = new Set(after.fields.map(([name]) => name.toLowerCase()));
  for (const [name, value] of after.fields) {
    if (!had.has(fieldText([name, value]))) lines.push(`header ${name}: ${shownField(name, value)}`);
  }
  for (const field of before.fields) {
    if (!has.has(fieldText(field)) && !names.has(field[0].toLowerCase()))
      lines.push(`header ${field[0]} removed`);
  }
  return lines;
}

function fieldText([name, value]: readonly [string, string]): string {
  return `${name.toLowerCase()}: ${value}`;
}
