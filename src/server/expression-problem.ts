import { compileExpression } from '../lib/expression.ts';

/** Why an expression (`vars`, `_meta.filter`) is wrong, in lua-resty-expr's words, or undefined. */
export function expressionProblem(expression: readonly unknown[]): string | undefined {
  try {
    compileExpression(expression, () => () => undefined);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
