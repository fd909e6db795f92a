import { compilePattern, PatternError, Replacement } from './pattern.ts';

/** What is wrong with a pattern; undefined when nothing is. */
export function patternError(pattern: string): string | undefined {
  return errorOf(() => compilePattern(pattern));
}

/** What is wrong with a pattern, or with what its matches are to be replaced by. */
export function replacementError(pattern: string, replacement: string): string | undefined {
  return patternError(pattern) ?? errorOf(() => new Replacement(replacement));
}

function errorOf(compile: () => unknown): string | undefined {
  try {
    compile();
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
}
