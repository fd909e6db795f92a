// An explanation for people: what was asked, who lost, who won, what ran, what came of it.

import { styleText } from 'node:util';
import type { ExplainedCandidate, ExplainedStep, Explanation, NamedBinding } from '../proxy/explanation.ts';

type Style = Parameters<typeof styleText>[0];

const OUTCOMES: Readonly<Record<ExplainedStep['outcome'], { readonly text: string; readonly style: Style }>> =
  {
    passed: { text: 'passed', style: 'green' },
    replied: { text: 'replied', style: 'yellow' },
    failed: { text: 'failed', style: 'red' },
    filtered: { text: 'filtered out', style: 'gray' },
    not_reached: { text: 'not reached', style: 'gray' },
    later: { text: 'runs later', style: 'gray' },
  };
/** A body is shown up to here; `--json` has all of it. */
const MOST_BODY = 400;

export function renderExplanation(explanation: Explanation, colours: boolean): string {
  const paint = (style: Style, text: string) =>
    colours ? styleText(style, text, { validateStream: false }) : text;
  const lines: string[] = [];
  const section = (title: string, content: readonly string[]) => {
    for (const [index, line] of content.entries()) {
      lines.push(`${paint('bold', (index === 0 ? title : '').padEnd(10))}${line}`);
    }
  };
  section('request', requestLines(explanation));
  if (understood(explanation)) section('routes', candidateLines(explanation, paint));
  if (explanation.consumer !== null) section('consumer', [consumerLine(explanation.consumer)]);
  section('chain', chainLines(explanation.chain, paint));
  section('buffers', bufferLines(explanation));
  section('verdict', verdictLines(explanation, paint));
  section(
    'log',
    explanation.log.map(({ level, message, fields }) =>
      printable([level, message, ...(fields === undefined ? [] : [JSON.stringify(fields)])].join(' ')),
    ),
  );
  const counters = explanation.counters === 'live' ? "the gateway's counters" : 'empty counters';
  section('by', [`revision ${explanation.revision}, ${counters}`]);
  return lines.join('\n');
}

/** A refused head has neither host nor path. */
function understood({ request }: Explanation): boolean {
  return request.host !== '' || request.path !== '';
}

function requestLines(explanation: Explanation): string[] {
  const { request } = explanation;
  const { method, scheme, host, path, query, target, client_address: client, peer_address: peer } = request;
  const asked = `${method} ${scheme}://${host}${path}${query === '' ? '' : `?${query}`}`;
  const from = client === peer ? `from ${client}` : `from ${client} by way of ${peer}`;
  const sent = target === `${path}${query === '' ? '' : `?${query}`}` ? '' : `, sent as ${target}`;
  return !understood(explanation) ? [`${method} ${target} (not understood)`] : [`${asked} ${from}${sent}`];
}

function candidateLines({ candidates, more_candidates: more }: Explanation, paint: Paint): string[] {
  const rows = candidates.map((candidate) => [
    candidate.outcome === 'matched' ? paint('green', '>') : ' ',
    candidate.name === '' ? candidate.route : `${candidate.route} (${candidate.name})`,
    `${candidate.host ?? ''}${candidate.uri}`,
    candidate.priority === 0 ? '' : `priority ${candidate.priority}`,
    fate(candidate),
  ]);
  const lines = table(rows);
  if (more > 0) lines.push(`  and ${more} more`);
  return lines.length > 0 ? lines : ['none matches host and uri'];
}

function fate({ outcome, predicate, detail }: ExplainedCandidate): string {
  if (outcome === 'matched') return 'matched';
  return outcome === 'outranked' ? 'a better one came first' : `refused by ${predicate}: ${detail}`;
}

function consumerLine({ username, group, credential, by }: NonNullable<Explanation['consumer']>): string {
  return [
    username,
    ...(group === null ? [] : [`of group ${group}`]),
    ...(credential === null ? [] : [`with credential ${credential}`]),
    ...(by === null ? [] : [`recognised by ${bindingText(by)}`]),
  ].join(', ');
}

function chainLines(chain: readonly ExplainedStep[], paint: Paint): string[] {
  const rows = chain.map((step) => {
    const { text, style } = OUTCOMES[step.outcome];
    return [
      step.phase,
      step.plugin,
      String(step.priority),
      step.place,
      [paint(style, text), ...(step.detail === undefined ? [] : [step.detail]), ...(step.changes ?? [])].join(
        '; ',
      ),
    ];
  });
  return table(rows);
}

function bufferLines({ buffers }: Explanation): string[] {
  return (['request', 'response'] as const)
    .filter((body) => buffers[body].length > 0)
    .map((body) => `${body} body, for ${buffers[body].map(bindingText).join(', ')}`);
}

function verdictLines({ verdict }: Explanation, paint: Paint): string[] {
  if (verdict.type === 'forward') {
    const { upstream, target, request_line: line, headers } = verdict;
    const among = upstream.targets.length > 1 ? `, one of ${upstream.targets.length}` : '';
    const out = upstream.unhealthy.length > 0 ? ` (unhealthy: ${upstream.unhealthy.join(', ')})` : '';
    return [
      `${paint('green', 'forward')} to ${upstream.scheme}://${target}${among}${out}, upstream ${upstream.key}`,
      `  ${line}`,
      ...headers.map(([name, value]) => `  ${name}: ${value}`),
    ];
  }
  const { status, reason, by, detail, headers, body, encoding } = verdict;
  const author = by === null ? 'the gateway' : bindingText(by);
  const because = [reason, detail].filter((text) => text !== undefined && text !== '').join(': ');
  const shown = encoding === 'base64' ? '(binary)' : printable(body.trimEnd());
  return [
    `${paint(status >= 500 ? 'red' : 'yellow', `reply ${status}`)} by ${author}${because === '' ? '' : `: ${because}`}`,
    ...headers.map(([name, value]) => `  ${name}: ${value}`),
    ...(shown === ''
      ? []
      : (shown.length > MOST_BODY ? `${shown.slice(0, MOST_BODY)}…` : shown).split(/\r?\n/)
    ).map((line) => `  ${line}`),
  ];
}

type Paint = (style: Style, text: string) => string;

function bindingText({ plugin, place }: NamedBinding): string {
  return `${plugin} of ${place}`;
}

/** Without what a terminal would take for an order. */
function printable(text: string): string {
  return text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, '\ufffd');
}

/** Columns as wide as they need to be; the last one runs free. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.slice(0, -1).entries()) {
      widths[index] = Math.max(widths[index] ?? 0, visible(cell));
    }
  }
  return rows.map((row) =>
    row
      .map((cell, index) => cell + ' '.repeat(Math.max(0, (widths[index] ?? 0) - visible(cell))))
      .filter((_cell, index) => index === row.length - 1 || widths[index] > 0)
      .join('  ')
      .trimEnd(),
  );
}

function visible(cell: string): number {
  return cell.replace(/\x1b\[\d+m/g, '').length;
}
