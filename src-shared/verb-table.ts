/** One option, global or of a verb. */
export interface OptionSpec {
  /** As typed: `-l`, `--loglevel`. */
  readonly flags: readonly string[];
  /** The key of its value in `Values`; for options with a lago.conf key, that key. */
  readonly name: string;
  /**
   * `optional`: a value or none (then `true`); the next word is its value only if it fits its type. `list`: every word up to the next
   * option. `repeated`: one value per occurrence, collected in a list.
   */
  readonly kind: 'flag' | 'value' | 'optional' | 'list' | 'repeated';
  /** A list that need not have a word. */
  readonly mayBeEmpty?: boolean;
  /** Name of the value in usage and help. */
  readonly metavar?: string;
  readonly choices?: readonly string[];
  readonly type?: 'text' | 'integer' | 'number';
  readonly help: string;
  /** Section of lago.conf that gives the default. */
  readonly config?: string;
  /** Accepted but not shown. */
  readonly hidden?: boolean;
}

export interface PositionalSpec {
  readonly name: string;
  readonly metavar: string;
  /** `rest`: passes this word and everything after it, including options, to the verb unparsed. */
  readonly arity: 'one' | 'optional' | 'many' | 'rest';
  readonly choices?: readonly string[];
  readonly help: string;
  /** What shells complete here. */
  readonly completes?: 'vm' | 'prefix' | 'snapshot' | 'file' | 'directory';
}

export interface VerbSpec {
  readonly name: string;
  /** One line for the list of verbs. */
  readonly summary: string;
  /** Further text for `lago VERB --help` and the manual page. */
  readonly description?: string;
  readonly positionals: readonly PositionalSpec[];
  readonly options: readonly OptionSpec[];
  /** Command lines without the leading `lago `, and what they do. */
  readonly examples: readonly { readonly line: string; readonly does: string }[];
}

/** Values by option or positional name; absent when not given. */
export type Values = Readonly<Record<string, string | boolean | readonly string[]>>;
