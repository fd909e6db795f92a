/** The command line says something that can't be done; the message tells what to write instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
