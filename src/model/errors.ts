/** A configuration that can't be accepted. `message` names the field and what is wrong; it holds no secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** Path to the offending value, for example `routes[3].plugins.limit-count.count`. */
  readonly path: string | undefined;

  constructor(message: string, options: { path?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.path = options.path;
  }
}
