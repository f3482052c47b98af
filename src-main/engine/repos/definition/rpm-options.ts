import { quote } from '../../../../src-shared/init-file/name-rules.ts';
import type { FileIssues, Place } from './file-issues.ts';
import type { IniOption, ValueLine } from './ini.ts';
import { NOT_IN_MAIN } from './rpm-keys.ts';
import type { Read } from './values.ts';
import { replaceVariables } from './variables.ts';

/** Options of one section by key. */
export type Options = ReadonlyMap<string, IniOption>;

export interface OptionsAround {
  readonly own: Options;
  /** Those of `[main]`, which count where the section says nothing. */
  readonly main: Options;
  readonly values: ReadonlyMap<string, string>;
  /** What `values` were made from. */
  readonly distro: string | undefined;
  /** Numbers of lines with unfilled expressions, of which nothing more is said. */
  readonly templated: ReadonlySet<number>;
  readonly issues: FileIssues;
}

/** Reads the options of one section as typed values. A value that is wrong is reported and counts as absent. */
export class RpmOptions {
  readonly #id: string;
  readonly #around: OptionsAround;

  constructor(id: string, around: OptionsAround) {
    this.#id = id;
    this.#around = around;
  }

  /** The option that counts: the section's own, else that of `[main]`. */
  option(key: string): IniOption | undefined {
    return this.#around.own.get(key) ?? (NOT_IN_MAIN.has(key) ? undefined : this.#around.main.get(key));
  }

  /** Whether the section has a value for one of the keys, be it right or wrong. */
  has(...keys: readonly string[]): boolean {
    return keys.some((key) => this.option(key)?.value.some((line) => line.text !== '') === true);
  }

  /** The whole value on one line. */
  text(key: string): string | undefined {
    const option = this.option(key);
    return option === undefined
      ? undefined
      : this.#lines(option)
          .map((line) => line.text)
          .join(' ')
          .trim();
  }

  /** The value of the first of these keys that the section has, else of `[main]`. */
  read<T>(keys: readonly string[], reader: (text: string) => Read<T>): T | undefined {
    const { own, main } = this.#around;
    const option =
      keys.flatMap((key) => own.get(key) ?? [])[0] ?? keys.flatMap((key) => (NOT_IN_MAIN.has(key) ? [] : (main.get(key) ?? [])))[0];
    if (option === undefined) return undefined;
    const lines = this.#lines(option);
    const read = reader(
      lines
        .map((line) => line.text)
        .join(' ')
        .trim(),
    );
    if ('value' in read) return read.value;
    this.#error(lines[0] ?? option, option, read.problem);
    return undefined;
  }

  /** The words of a list, separated by spaces, commas and lines; without those that have a problem. */
  list(key: string, problemOf: (word: string) => string | undefined): readonly string[] {
    const option = this.option(key);
    if (option === undefined) return [];
    return this.#words(option).flatMap((word) => {
      const problem = problemOf(word.text);
      if (problem === undefined || this.#around.templated.has(word.line)) return [word.text];
      this.#error(word, option, problem);
      return [];
    });
  }

  /** The words of a list in `[main]` and in the section: what is left out there is left out everywhere. */
  everywhere(key: string): readonly string[] {
    const { own, main } = this.#around;
    return [main.get(key), own.get(key)].flatMap((option) => (option === undefined ? [] : this.#words(option).map((word) => word.text)));
  }

  #words(option: IniOption): readonly ValueLine[] {
    return this.#lines(option).flatMap((line) =>
      [...line.text.matchAll(WORD)].map(({ 0: text, index }) => ({ line: line.line, column: line.column + index, text })),
    );
  }

  #lines(option: IniOption): readonly ValueLine[] {
    return option.value.map((line) => ({ ...line, text: this.#replaced(this.#withoutComment(line, option), option) }));
  }

  /** dnf takes ` # words` for a part of the value; nobody ever meant that. */
  #withoutComment(line: ValueLine, option: IniOption): ValueLine {
    const end = FREE_TEXT.has(option.key) ? -1 : line.text.search(/(?:^|\s)[#;]/);
    if (end === -1) return line;
    const place = { line: line.line, column: line.column + end };
    const message = `dnf takes a comment after a value for a part of ${option.key}; here it is a comment.`;
    this.#around.issues.warning(place, `${this.#id}.${option.key}`, message, 'Give it a line of its own.');
    return { ...line, text: line.text.slice(0, end).trimEnd() };
  }

  #replaced(line: ValueLine, option: IniOption): string {
    const { values, distro, templated, issues } = this.#around;
    const { text, unknown } = replaceVariables(line.text, values);
    // A name is only shown; and passwords must not be in messages.
    if (templated.has(line.line) || FREE_TEXT.has(option.key)) return text;
    for (const variable of unknown) {
      const column = line.column + line.text.indexOf(variable);
      const ofDistro = /^\$\{?releasever/i.test(variable);
      const message = !ofDistro
        ? `Nothing says what ${variable} stands for; it is left as it is.`
        : distro === undefined
          ? `What ${variable} stands for depends on the distribution, which is not known; it is left as it is.`
          : `The distribution ${quote(distro)} does not say what ${variable} stands for; it is left as it is.`;
      const hint = ofDistro ? 'Name one distribution such as el9, or end the section’s id in “-el9”.' : 'Write its value into the file.';
      issues.warning({ line: line.line, column }, `${this.#id}.${option.key}`, message, hint);
    }
    return text;
  }

  #error(place: Place, option: IniOption, problem: string): void {
    if (this.#around.templated.has(place.line)) return;
    const { own } = this.#around;
    const section = [...own.values()].includes(option) ? this.#id : 'main';
    this.#around.issues.error({ line: place.line, column: place.column }, `${section}.${option.key}`, problem);
  }
}

/** An expression of Jinja is one word, whatever is in it. */
const WORD = /(?:\{\{.{0,200}?\}\}|[^\s,])+/g;

/** Values in which `#` and `;` after a space, and `$`, may be meant. */
const FREE_TEXT: ReadonlySet<string> = new Set(['name', 'user_agent', 'username', 'password', 'proxy_username', 'proxy_password']);
