#!/usr/bin/env node
// The command line. Only what the chosen command needs is loaded.

import { enableCompileCache } from 'node:module';

enableCompileCache();
const { runCommandLine } = await import('./cli/command-line.ts');
await runCommandLine(process.argv.slice(2));
