/** The JSON Schema of the declarative file, as text. */
export async function fileSchemaText(): Promise<string> {
  return '{}\n';
}
