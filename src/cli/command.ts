/** What was given for a command's options; a list for one that may be given several times. */
export type CommandOptions = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** One command of the command line. */
export interface Command {
  readonly name: string;
  readonly usage: string;
  /** One sentence for the overview. */
  readonly summary: string;
  /** What else there is to know, for `sluice COMMAND --help`. */
  readonly details: string;
  readonly options: Readonly<Record<string, OptionDefinition>>;
  run(positionals: readonly string[], options: CommandOptions): Promise<void>;
}

export interface OptionDefinition {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** How its value is called in help. */
  readonly value?: string;
  readonly description: string;
}
