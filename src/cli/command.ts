/** One command of the command line. */
export interface Command {
  readonly name: string;
  readonly usage: string;
  /** One sentence for the overview. */
  readonly summary: string;
  /** What else there is to know, for `sluice COMMAND --help`. */
  readonly details: string;
  readonly options: Readonly<Record<string, OptionDefinition>>;
  run(
    positionals: readonly string[],
    options: Readonly<Record<string, string | boolean | undefined>>,
  ): Promise<void>;
}

export interface OptionDefinition {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** How its value is called in help. */
  readonly value?: string;
  readonly description: string;
}
