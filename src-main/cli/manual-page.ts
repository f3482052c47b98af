import { environmentName, settingKey } from '../../src-shared/settings.ts';
import { EXIT_CODES } from './exit-codes.ts';
import { HELP_OPTION, VERSION_OPTION } from './parser/arguments.ts';
import { valueName } from './parser/help.ts';
import type { OptionSpec, PositionalSpec, ProgramSpec, VerbSpec } from './parser/table.ts';

/** Escapes text for troff: backslashes, dashes, and control characters at the start of a line. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}

function optionEntry(option: OptionSpec): string[] {
  const name = `\\fI${roff(valueName(option))}\\fR`;
  const value = option.kind === 'flag' ? '' : option.kind === 'optional' ? ` [${name}]` : ` ${name}`;
  const setting = option.config === undefined ? undefined : settingKey(option.name, option.config);
  const fallback = setting?.default === undefined ? '' : ` Default: ${setting.default}.`;
  const places = setting === undefined ? '' : ` (lago.conf: [${setting.section}] ${setting.key}; environment: ${environmentName(setting)})`;
  return ['.TP', `${option.flags.map((flag) => `\\fB${roff(flag)}\\fR`).join(', ')}${value}`, roff(`${option.help}${fallback}${places}`)];
}

function positional(spec: PositionalSpec): string {
  const name = `\\fI${roff(spec.choices === undefined ? spec.metavar : spec.choices.join('|'))}\\fR`;
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

function verbSection(verb: VerbSpec): string[] {
  const options = verb.options.length === 0 ? '' : ' [\\fIoptions\\fR]';
  const lines = [
    '.SS',
    `\\fBlago ${roff(verb.name)}\\fR${options} ${verb.positionals.map(positional).join(' ')}`.trimEnd(),
    roff(`${verb.summary}.`),
  ];
  if (verb.description !== undefined) lines.push('.PP', roff(verb.description));
  for (const spec of verb.positionals) lines.push('.TP', `\\fI${roff(spec.metavar)}\\fR`, roff(spec.help));
  for (const option of verb.options) lines.push(...optionEntry(option));
  for (const example of verb.examples) lines.push('.PP', roff(example.does), '.PP', '.nf', `    ${roff(`lago ${example.line}`)}`, '.fi');
  return lines;
}

/** The manual page lago(1) in troff, built from the same table as the help. */
export function manualPage(program: ProgramSpec, date: Date): string {
  return [
    `.TH LAGO 1 "${date.toISOString().slice(0, 10)}" "lago ${program.version}" "User Commands"`,
    '.SH NAME',
    'lago \\- ad\\-hoc virtual environments on libvirt',
    '.SH SYNOPSIS',
    '\\fBlago\\fR [\\fIglobal options\\fR] \\fIVERB\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]',
    '.SH DESCRIPTION',
    roff(program.description),
    '.SH GLOBAL OPTIONS',
    ...[HELP_OPTION, VERSION_OPTION, ...program.options].flatMap(optionEntry),
    '.SH VERBS',
    ...program.verbs.flatMap(verbSection),
    '.SH EXIT STATUS',
    ...EXIT_CODES.flatMap(([code, meaning]) => ['.TP', roff(code), roff(meaning)]),
    roff('The verb shell exits with the status of the remote command.'),
    '.SH FILES',
    ...['/etc/lago/lago.conf', '/etc/xdg/lago/lago.conf', '~/.config/lago/lago.conf'].flatMap((file) => [
      '.TP',
      `\\fI${roff(file)}\\fR`,
      'Configuration; later ones win, then the environment, then the command line.',
    ]),
  ].join('\n');
}
