import { HELP_OPTION, VERSION_OPTION } from './arguments.ts';
import type { OptionSpec, PositionalSpec, ProgramSpec, VerbSpec } from './table.ts';

const WIDTH = 80;
const COLUMN = 26;

/** Wraps text to lines of at most `width` characters. */
export function foldText(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  if (line !== '') lines.push(line);
  return lines;
}

/** The placeholder for an option's value: its choices, its metavar, or its name. */
export function valueName(option: OptionSpec): string {
  if (option.choices !== undefined) return `{${option.choices.join(',')}}`;
  return option.metavar ?? option.name.toUpperCase();
}

function usageOfOption(option: OptionSpec): string {
  const flag = option.flags[0] ?? '';
  if (option.kind === 'flag') return `[${flag}]`;
  const value = valueName(option);
  if (option.kind === 'optional') return `[${flag} [${value}]]`;
  if (option.kind === 'repeated') return `[${flag} ${value}]...`;
  if (option.mayBeEmpty === true) return `[${flag} [${value} ...]]`;
  return option.kind === 'list' ? `[${flag} ${value} [${value} ...]]` : `[${flag} ${value}]`;
}

function usageOfPositional(spec: PositionalSpec): string {
  const name = spec.choices === undefined ? spec.metavar : `{${spec.choices.join(',')}}`;
  switch (spec.arity) {
    case 'one':
      return name;
    case 'optional':
      return `[${name}]`;
    case 'many':
    case 'rest':
      return `[${name} ...]`;
  }
}

function usage(start: string, parts: readonly string[]): string {
  const indent = ' '.repeat(start.length + 1);
  const lines: string[] = [];
  let line = start;
  for (const part of parts) {
    if (line.length + 1 + part.length > WIDTH && line.trim() !== '') {
      lines.push(line);
      line = `${indent}${part}`;
    } else line = `${line} ${part}`;
  }
  return [...lines, line].join('\n');
}

const visible = (options: readonly OptionSpec[]): OptionSpec[] => options.filter((option) => option.hidden !== true);

/** The usage lines of the program or of a verb, as printed before an error message. */
export function usageText(program: ProgramSpec, verb?: VerbSpec): string {
  if (verb === undefined) return `usage: ${program.name} [global options] VERB [options] [arguments]`;
  return usage(`usage: ${program.name} ${verb.name}`, [
    ...[HELP_OPTION, ...visible(verb.options)].map(usageOfOption),
    ...verb.positionals.map(usageOfPositional),
  ]);
}

function row(left: string, right: string, indent = 2): string[] {
  const help = foldText(right, WIDTH - COLUMN);
  const head = `${' '.repeat(indent)}${left}`;
  const padded = help.map((line) => `${' '.repeat(COLUMN)}${line}`);
  if (head.length + 2 > COLUMN) return [head, ...padded];
  return [head.padEnd(COLUMN) + (help[0] ?? ''), ...padded.slice(1)].map((line) => line.trimEnd());
}

/** `-l, --loglevel {info,debug}`. */
export function optionTitle(option: OptionSpec): string {
  const name = valueName(option);
  const value = option.kind === 'flag' ? '' : option.kind === 'optional' ? ` [${name}]` : ` ${name}`;
  return `${option.flags.join(', ')}${value}`;
}

function optionRows(options: readonly OptionSpec[], effective: (option: OptionSpec) => string | undefined): string[] {
  return visible(options).flatMap((option) => {
    const value = effective(option);
    return row(optionTitle(option), value === undefined ? option.help : `${option.help} (default: ${value})`);
  });
}

/**
 * The help of the program or of a verb. `effective` returns an option's value from configuration files and environment, so that the help
 * shows the defaults that apply.
 */
export function helpText(program: ProgramSpec, verb: VerbSpec | undefined, effective: (option: OptionSpec) => string | undefined): string {
  const lines = [usageText(program, verb), ''];
  if (verb === undefined) {
    lines.push(...foldText(program.description, WIDTH), '', 'verbs:');
    for (const one of program.verbs) lines.push(...row(one.name, one.summary));
    lines.push('', 'global options (before the verb):', ...optionRows([HELP_OPTION, VERSION_OPTION, ...program.options], effective));
    lines.push('', `"${program.name} VERB --help" shows the help of a verb.`);
    return lines.join('\n');
  }
  lines.push(...foldText(verb.summary, WIDTH));
  if (verb.description !== undefined) for (const paragraph of verb.description.split('\n')) lines.push('', ...foldText(paragraph, WIDTH));
  if (verb.positionals.length > 0) lines.push('', 'arguments:', ...verb.positionals.flatMap((spec) => row(spec.metavar, spec.help)));
  lines.push('', 'options:', ...optionRows([HELP_OPTION, ...verb.options], effective));
  if (verb.examples.length > 0) {
    lines.push(
      '',
      'examples:',
      ...verb.examples.flatMap((example) => [
        `  ${program.name} ${example.line}`,
        ...foldText(example.does, WIDTH - 6).map((line) => `      ${line}`),
      ]),
    );
  }
  return lines.join('\n');
}
