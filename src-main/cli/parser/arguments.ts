import { nearest } from '../../../src-shared/nearest.ts';
import type { OptionSpec, PositionalSpec, ProgramSpec, Values, VerbSpec } from './table.ts';

/** What a command line asks to do. */
export type Parsed =
  | { readonly action: 'help'; readonly verb: VerbSpec | undefined }
  | { readonly action: 'version' }
  | { readonly action: 'no-verb'; readonly global: Values }
  | { readonly action: 'run'; readonly verb: VerbSpec; readonly global: Values; readonly values: Values }
  | { readonly action: 'error'; readonly verb: VerbSpec | undefined; readonly message: string };

/** Options that every parser has; completion uses them too. */
export const HELP_OPTION: OptionSpec = { flags: ['-h', '--help'], name: 'help', kind: 'flag', help: 'Show this help and exit.' };
export const VERSION_OPTION: OptionSpec = { flags: ['--version'], name: 'version', kind: 'flag', help: 'Show the version and exit.' };

class UsageError extends Error {}

interface Scan {
  readonly values: Record<string, string | boolean | string[]>;
  readonly positionals: string[];
  /** Index of the first unread word. */
  readonly next: number;
  /** Which of `--help`, `--version` came first. */
  readonly asked: 'help' | 'version' | undefined;
}

/**
 * Parses a command line by argparse's rules: global options before the verb, unambiguous prefixes of long options, `-oVALUE`,
 * `--option=VALUE`, joined flags, `--`, and words like `-1` as values. Never throws for user input.
 */
export function parseArguments(program: ProgramSpec, argv: readonly string[]): Parsed {
  let verb: VerbSpec | undefined;
  try {
    const global = scan([...program.options, HELP_OPTION, VERSION_OPTION], argv, 0, 'first-positional', program);
    if (global.asked !== undefined) return global.asked === 'help' ? { action: 'help', verb: undefined } : { action: 'version' };
    // Users of other programs expect `lago help VERB`; it means `lago VERB --help`.
    const help = global.positionals[0] === 'help';
    const name = help ? argv[global.next] : global.positionals[0];
    if (name === undefined) return help ? { action: 'help', verb: undefined } : { action: 'no-verb', global: global.values };
    verb = program.verbs.find((candidate) => candidate.name === name);
    if (verb === undefined) {
      const guess = nearest(
        name,
        program.verbs.map((candidate) => candidate.name),
      );
      const hint = guess === undefined ? 'See "lago --help" for the verbs.' : `Did you mean "${guess}"?`;
      return { action: 'error', verb: undefined, message: `unknown verb "${name}". ${hint}` };
    }
    if (help) return { action: 'help', verb };
    const rest = verb.positionals.at(-1)?.arity === 'rest';
    const leading = rest ? verb.positionals.length - 1 : Number.POSITIVE_INFINITY;
    const late = globalsAfter(program, verb, rest);
    const found = scan([...verb.options, HELP_OPTION], argv, global.next, leading, program, verb, late);
    if (found.asked === 'help') return { action: 'help', verb };
    const words = [...found.positionals, ...argv.slice(found.next)];
    const names = new Set(late.map((option) => option.name));
    const own = Object.entries(found.values).filter(([key]) => !names.has(key));
    const after = Object.entries(found.values).filter(([key]) => names.has(key));
    return {
      action: 'run',
      verb,
      global: { ...global.values, ...Object.fromEntries(after) },
      values: { ...Object.fromEntries(own), ...assign(verb.positionals, words) },
    };
  } catch (error) {
    if (error instanceof UsageError) return { action: 'error', verb, message: error.message };
    throw error;
  }
}

/**
 * Global options that are also accepted after the verb, unlike in argparse: those whose names and flags the verb does not use itself.
 * None for a verb that passes its words on. After the verb they cannot be abbreviated.
 */
function globalsAfter(program: ProgramSpec, verb: VerbSpec, passesOn: boolean): readonly OptionSpec[] {
  if (passesOn) return [];
  const names = new Set([...verb.options.map((option) => option.name), ...verb.positionals.map((positional) => positional.name)]);
  const flags = new Set(verb.options.flatMap((option) => option.flags));
  return program.options
    .filter((option) => !names.has(option.name))
    .map((option) => ({ ...option, flags: option.flags.filter((flag) => !flags.has(flag)) }));
}

function scan(
  options: readonly OptionSpec[],
  argv: readonly string[],
  from: number,
  stop: 'first-positional' | number,
  program: ProgramSpec,
  verb?: VerbSpec,
  late: readonly OptionSpec[] = [],
): Scan {
  const values: Scan['values'] = {};
  const positionals: string[] = [];
  let asked: Scan['asked'];
  let index = from;
  let literal = false;
  const limit = stop === 'first-positional' ? 1 : stop;
  while (index < argv.length && asked === undefined) {
    if (positionals.length >= limit) break;
    const word = argv[index++] as string;
    if (literal || !looksLikeOption(word)) {
      positionals.push(word);
      continue;
    }
    if (word === '--') {
      literal = true;
      continue;
    }
    index = readOption(word, index);
  }
  return { values, positionals, next: index, asked };

  function readOption(word: string, next: number): number {
    const { option, flag, joined, rest } = match(options, late, word, program, verb);
    if (option.kind === 'flag') {
      if (joined !== undefined) throw new UsageError(`argument ${option.flags.join('/')}: takes no value, but got "${joined}"`);
      set(option, true);
      return rest === undefined ? next : readOption(`-${rest}`, next);
    }
    if (option.kind === 'list') {
      const words: string[] = joined === undefined ? [] : [joined];
      while (joined === undefined && next < argv.length && !looksLikeOption(argv[next] as string)) words.push(argv[next++] as string);
      if (words.length === 0) throw new UsageError(`argument ${option.flags.join('/')}: expected at least one value`);
      values[option.name] = [...((values[option.name] as string[] | undefined) ?? []), ...words];
      return next;
    }
    let value = joined;
    if (value === undefined) {
      const following = argv[next];
      if (option.kind === 'optional' && (following === undefined || looksLikeOption(following))) {
        set(option, '');
        return next;
      }
      if (following === undefined || looksLikeOption(following)) throw new UsageError(`argument ${flag}: expected one value`);
      value = following;
      next++;
    }
    if (option.kind === 'repeated') values[option.name] = [...((values[option.name] as string[] | undefined) ?? []), value];
    else set(option, checked(option, value));
    return next;
  }

  function set(option: OptionSpec, value: string | boolean): void {
    if (option.name === 'help' || (option.name === 'version' && options.includes(VERSION_OPTION)))
      asked = option.name as 'help' | 'version';
    else values[option.name] = value;
  }
}

/** As argparse: a dash alone, negative numbers and anything with a space are values. */
function looksLikeOption(word: string): boolean {
  return word.startsWith('-') && word !== '-' && !/^-\d+$|^-\d*\.\d+$/.test(word) && !word.includes(' ');
}

interface Match {
  readonly option: OptionSpec;
  readonly flag: string;
  /** The value in the same word. */
  readonly joined: string | undefined;
  /** Further one-letter flags in the same word. */
  readonly rest: string | undefined;
}

function match(
  options: readonly OptionSpec[],
  late: readonly OptionSpec[],
  word: string,
  program: ProgramSpec,
  verb: VerbSpec | undefined,
): Match {
  const equals = word.indexOf('=');
  const flag = equals < 0 ? word : word.slice(0, equals);
  const joined = equals < 0 ? undefined : word.slice(equals + 1);
  const exact = [...options, ...late].find((option) => option.flags.includes(flag));
  if (exact !== undefined) return { option: exact, flag, joined, rest: undefined };
  if (flag.startsWith('--')) {
    const long = options.flatMap((option) => option.flags.filter((own) => own.startsWith(flag)).map((own) => ({ option, own })));
    const [only] = long;
    if (only !== undefined && long.length === 1) return { option: only.option, flag: only.own, joined, rest: undefined };
    if (long.length > 1) throw new UsageError(`ambiguous option: ${flag} could match ${long.map(({ own }) => own).join(', ')}`);
  } else {
    const letter = word.slice(0, 2);
    const short = options.find((option) => option.flags.includes(letter));
    const tail = word.slice(2);
    if (short !== undefined && short.kind === 'flag') return { option: short, flag: letter, joined: undefined, rest: tail };
    if (short !== undefined) return { option: short, flag: letter, joined: tail, rest: undefined };
  }
  throw new UsageError(unknownOption(options, flag, program, verb));
}

function unknownOption(options: readonly OptionSpec[], flag: string, program: ProgramSpec, verb: VerbSpec | undefined): string {
  if (verb !== undefined) {
    const global = program.options.find((option) => option.flags.some((own) => own === flag || (flag.length > 4 && own.startsWith(flag))));
    if (global !== undefined) {
      return `unrecognized option ${flag}. It is a global option: write it out in full after the verb, or put it before.`;
    }
  }
  const guess = nearest(
    flag,
    options.flatMap((option) => (option.hidden === true ? [] : option.flags.filter((own) => own.startsWith('--')))),
  );
  return `unrecognized option ${flag}.${guess === undefined ? '' : ` Did you mean ${guess}?`}`;
}

function checked(
  spec: { readonly choices?: readonly string[]; readonly type?: string } & (
    | { readonly flags: readonly string[] }
    | { readonly metavar: string }
  ),
  value: string,
): string {
  const name = 'flags' in spec ? spec.flags.join('/') : spec.metavar;
  if (spec.choices !== undefined && !spec.choices.includes(value)) {
    const guess = nearest(value, spec.choices);
    throw new UsageError(
      `argument ${name}: invalid choice: '${value}' (choose from ${spec.choices.join(', ')})${guess === undefined ? '' : `. Did you mean "${guess}"?`}`,
    );
  }
  if (spec.type === 'integer' && !/^-?\d+$/.test(value)) throw new UsageError(`argument ${name}: invalid whole number: '${value}'`);
  if (spec.type === 'number' && (value.trim() === '' || !Number.isFinite(Number(value))))
    throw new UsageError(`argument ${name}: invalid number: '${value}'`);
  return value;
}

function assign(specs: readonly PositionalSpec[], words: readonly string[]): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = {};
  const missing = specs.filter((spec, index) => spec.arity === 'one' && index >= words.length);
  if (missing.length > 0) throw new UsageError(`the following arguments are required: ${missing.map((spec) => spec.metavar).join(', ')}`);
  let index = 0;
  for (const spec of specs) {
    if (spec.arity === 'many' || spec.arity === 'rest') {
      values[spec.name] = words.slice(index);
      index = words.length;
    } else if (index < words.length) values[spec.name] = checked(spec, words[index++] as string);
  }
  if (index < words.length) throw new UsageError(`unrecognized arguments: ${words.slice(index).join(' ')}`);
  return values;
}
