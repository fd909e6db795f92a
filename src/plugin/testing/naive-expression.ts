// Stands in for lib/expression.ts until that is there: the commonest operators, one comparison or
// several that must all hold.

type Source = { variable(name: string): string | undefined };

export function compileNaiveExpression(expression: readonly unknown[]): (source: Source) => boolean {
  if (Array.isArray(expression[0])) {
    const all = expression.map((part) => compileNaiveExpression(part as readonly unknown[]));
    return (source) => all.every((part) => part(source));
  }
  const [name, operator, expected] = expression;
  if (typeof name !== 'string') throw new Error(`not a variable: ${String(name)}`);
  return (source) => compare(source.variable(name), operator, expected);
}

function compare(value: string | undefined, operator: unknown, expected: unknown): boolean {
  switch (operator) {
    case '==':
      return value === String(expected);
    case '~=':
      return value !== String(expected);
    case '>':
      return Number(value) > Number(expected);
    case '<':
      return Number(value) < Number(expected);
    case '~~':
      return new RegExp(String(expected)).test(value ?? '');
    case 'in':
      return (expected as readonly unknown[]).includes(value);
    default:
      throw new Error(`no operator '${String(operator)}' in tests yet`);
  }
}
