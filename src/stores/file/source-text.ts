import type { Path, Position } from './file-error.ts';

/** What keeps a text from being parsed. */
export interface TextError {
  readonly path: Path;
  readonly message: string;
  readonly position: Position | undefined;
}

/** A parsed text that remembers where its values are written. */
export interface SourceText {
  /** The value; meaningless when there are errors. */
  readonly value: unknown;
  readonly errors: readonly TextError[];
  /**
   * Where the value at `path` is written, or the innermost value that should hold it. `rename` makes
   * names as they are in the path from keys as they are in the text.
   */
  positionOf(path: Path, rename: (key: string) => string): Position | undefined;
}
