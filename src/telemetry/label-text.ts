/** Longer values are cut: a label is for telling series apart, not for carrying text. */
const LONGEST_VALUE = 256;

/** Labels as Prometheus' text format has them, each after a comma: `,route="1",service="a\"b"`. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  let text = '';
  for (const name of Object.keys(labels)) text += `,${name}="${labelValue(labels[name])}"`;
  return text;
}

function labelValue(value: string): string {
  const cut = value.length <= LONGEST_VALUE ? value : value.slice(0, LONGEST_VALUE).toWellFormed();
  return cut.replace(/["\\\n]/g, (unit) => (unit === '\n' ? '\\n' : `\\${unit}`));
}
