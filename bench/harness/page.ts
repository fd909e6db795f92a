// docs/benchmarks.md, made from a run. What people wrote between the marks of a missed target stays
// when the page is made again, as long as the target is missed.

import { type Results, shortNumber, type Verdict, verdicts } from './results.ts';
import type { ContenderResult } from './rounds.ts';

const UNWRITTEN = 'Not yet explained.';

export function page(results: Results, previous = ''): string {
  const { machine, loadCases, figureCases, quick } = results;
  const all = verdicts(results);
  const missed = all.filter(({ verdict }) => verdict === 'missed');
  return (
    [
      '# Benchmarks',
      `Made by \`npm run bench\` from [benchmarks.json](benchmarks.json), which holds every single round.${quick ? ' **This was a quick run: its figures are rough.**' : ''} Ratios are CPU per request, so less is better: 1.00 is as much as the one compared with.`,
      '## Targets',
      table(
        ['work', 'others', 'target', 'stretch', 'measured', 'verdict'],
        all.map(({ title, known, target, stretch, measured, verdict }) => [
          title,
          known,
          target,
          stretch,
          measured,
          verdict === 'missed' ? '**missed**' : verdict,
        ]),
      ),
      'In parentheses: the least and the greatest ratio of a single round. Figures of Apache APISIX were measured earlier on a machine of the same kind, one worker, ratios to the same nginx.',
      ...(missed.length === 0
        ? []
        : ['### Where the time goes', ...missed.map((one) => explanation(one, previous))]),
      '## Machine and method',
      `${machine.cores} cores (${machine.cpuModel}), ${machine.memoryGigabytes} GB, Linux ${machine.kernel}. Sluice ${machine.sluice} on Node ${machine.node}, nginx ${machine.nginx}, wrk ${machine.wrk}. ${machine.date}.`,
      ...method(results),
      '## CPU, throughput, latency',
      ...loadCases.flatMap(({ title, about, contenders }) => [
        `### ${capital(title)}`,
        about,
        contenderTable(contenders),
      ]),
      '## Changes, start, memory',
      ...figureCases.flatMap(({ title, about, figures }) => [
        `### ${capital(title)}`,
        about,
        table(
          ['', 'measured', 'details'],
          figures.map((one) => [one.title, `${shortNumber(one.value)} ${one.unit}`, one.detail ?? '']),
        ),
      ]),
    ].join('\n\n') + '\n'
  );
}

function method({ pace, pinned }: Results): string[] {
  const places = pinned
    ? 'Under load every gateway runs on one core with one worker; wrk (one thread) and the upstream share another. Changes, start and memory are measured with one worker on all cores.'
    : 'There was one core for gateway, load and upstream together, which makes all figures rough.';
  return [
    `Everything runs on loopback. The upstream is nginx with one worker, which answers with 1 KB of JSON; gateways keep their connections to it. ${places} Unless a case says otherwise, wrk sends GET over 64 keep-alive connections, and access log and metrics are off everywhere. Sluice is the built package, started with \`start --config FILE\`; the files are in \`bench/configs/\`.`,
    `The gateways of a case take turns (A B A B, every other round backwards): after ${pace.warmUpSeconds} s each to warm up, ${pace.rounds} rounds of ${pace.secondsPerRun} s each. CPU per request is the user and system time of the gateway's whole process tree with all its threads, divided by the requests that were answered. A ratio is the median of the rounds' ratios, other columns are medians of the rounds, and errors are the sum. CPU per request is the figure to trust; requests per second are bounded by the core of load and upstream as well, which shows where a gateway's core is less than 95 % in use. Compare figures of one table only.`,
  ];
}

function contenderTable(contenders: readonly ContenderResult[]): string {
  return table(
    ['', 'CPU µs/request', 'requests/s', 'core in use', 'p50 ms', 'p99 ms', 'memory MB', 'errors'],
    contenders.map(({ name, median, residentMegabytes }) => [
      name,
      median.cpuMicrosecondsPerRequest.toFixed(1),
      median.requestsPerSecond.toFixed(0),
      `${(median.coreUse * 100).toFixed(0)} %`,
      median.p50Milliseconds.toFixed(2),
      median.p99Milliseconds.toFixed(2),
      residentMegabytes.toFixed(0),
      String(median.errors),
    ]),
  );
}

function explanation({ title, target, measured }: Verdict, previous: string): string {
  const [open, close] = [`<!-- where the time goes: ${title} -->`, '<!-- end -->'];
  const start = previous.indexOf(open);
  const end = previous.indexOf(close, start);
  const written = start < 0 || end < 0 ? UNWRITTEN : previous.slice(start + open.length, end).trim();
  return `**${capital(title)}**: ${measured} instead of ${target}.\n${open}\n${written}\n${close}`;
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}

function capital(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}
