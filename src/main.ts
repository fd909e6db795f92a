#!/usr/bin/env node
import { readFileSync } from 'node:fs';

const HELP = `Usage: sluice COMMAND

  sluice --help       prints this text
  sluice --version    prints the version
`;

function version(): string {
  const description: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return String((description as { version: unknown }).version);
}

const [command] = process.argv.slice(2);
if (command === '--version') console.log(`sluice ${version()}`);
else if (command === '--help' || command === undefined) process.stdout.write(HELP);
else {
  console.error(`sluice: unknown command ${command}; sluice --help lists what there is.`);
  process.exitCode = 1;
}
