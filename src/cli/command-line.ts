import { parseArgs, styleText } from 'node:util';
import type { Command } from './command.ts';
import { UsageError } from './usage-error.ts';
import { version } from './version.ts';

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./start.ts')).start,
  check: async () => (await import('./check.ts')).check,
  explain: async () => (await import('./explain.ts')).explain,
};

/** Runs `sluice` with these arguments; sets the process's exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
  const [name, ...rest] = argv;
  if (name === '--version' || name === '-v') {
    process.stdout.write(`sluice ${version}\n`);
    return;
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(await overview());
    return;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) return fail(`unknown command ${name}; sluice --help lists what there is`);
  try {
    const command = await load();
    if (rest.includes('--help') || rest.includes('-h')) {
      process.stdout.write(help(command));
      return;
    }
    const { values, positionals } = parse(command, rest);
    await command.run(positionals, values as Readonly<Record<string, string | boolean | undefined>>);
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error), error);
    // What failed half-way may have left threads and listeners behind, which would go on for ever.
    process.exit();
  }
}

function parse(command: Command, argv: readonly string[]) {
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, { type, short, multiple }]) => [
      name,
      { type, ...(short !== undefined && { short }), ...(multiple === true && { multiple }) },
    ]),
  );
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    // Node adds how to pass such a word as a positional, which nobody here meant.
    const unknown = /^Unknown option '([^']+)'/.exec(error instanceof Error ? error.message : '');
    if (unknown === null) throw error;
    throw new UsageError(`unknown option ${unknown[1]}; sluice ${command.name} --help lists what there is`, {
      cause: error,
    });
  }
}

function fail(message: string, error?: unknown): void {
  const mark = process.stderr.isTTY === true ? styleText('red', 'sluice:') : 'sluice:';
  process.stderr.write(`${mark} ${message}\n`);
  if (process.env.SLUICE_LOG_LEVEL === 'debug' && error instanceof Error)
    process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
}

async function overview(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(9)} ${summary}`);
  return `Sluice ${version}: reverse proxy, API proxy and API gateway in one.

Usage: sluice COMMAND [OPTIONS]

${lines.join('\n')}

  sluice COMMAND --help   tells more about a command
  sluice --version        prints the version

First steps:
  sluice start https://my-upstream.example     proxies everything there
  sluice start                                 starts with the Admin API
  sluice start --config sluice.yaml            serves a declarative file
`;
}

/** The help text of one command. */
export function help({ usage, summary, details, options }: Command): string {
  const lines = Object.entries(options).map(([name, { short, value, description }]) => {
    const names = `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
    return `  ${names.padEnd(26)} ${description}`;
  });
  return `${summary}\n\nUsage: ${usage}\n\n${details}\n${lines.length > 0 ? `\nOptions:\n${lines.join('\n')}\n` : ''}`;
}
