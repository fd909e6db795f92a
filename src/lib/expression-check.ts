import { compileExpression } from './expression.ts';

/** What is wrong with an expression, in lua-resty-expr's words; undefined when nothing is. */
export function expressionError(expression: readonly unknown[]): string | undefined {
  try {
    compileExpression(expression, () => () => undefined);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
