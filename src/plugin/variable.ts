// Variables by the names that nginx and APISIX users know, and texts that contain them.

/** Whatever can say what a variable's value is: an Exchange, or a test's stand-in. */
export interface VariableSource {
  variable(name: string): string | undefined;
}

export type Variable = (source: VariableSource) => string | undefined;
export type Template = (source: VariableSource) => string;

/** A Variable for a name, with or without the leading `$`. */
export function compileVariable(name: string): Variable {
  const bare = name.startsWith('$') ? name.slice(1) : name;
  return (source) => source.variable(bare);
}

const REFERENCE = /(?<!\\)\$(?:\{(\w+)\}|(\d+|[A-Za-z_]\w*))/g;

/** A stretch of text, or the name of what stands in its place: a variable, or a capture's number in digits. */
export type TemplatePart = string | { readonly name: string };

/** Cuts a text at its `$name`, `${name}` and `$1`. A `$` before anything else, or after a backslash, is itself. */
export function templateParts(text: string): TemplatePart[] {
  const parts: TemplatePart[] = [];
  let end = 0;
  for (const match of text.matchAll(REFERENCE)) {
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push({ name: match[1] ?? match[2] });
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return parts;
}

/** A Template for a text; a variable without a value becomes the empty string. */
export function compileTemplate(text: string): Template {
  const parts = templateParts(text).map((part) =>
    typeof part === 'string' ? part : compileVariable(part.name),
  );
  if (parts.every((part) => typeof part === 'string')) return () => text;
  return (source) => {
    let result = '';
    for (const part of parts) result += typeof part === 'string' ? part : (part(source) ?? '');
    return result;
  };
}
