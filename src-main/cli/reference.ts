import { environmentName, SETTINGS, type SettingKey, settingKey } from '../../src-shared/settings.ts';
import { EXIT_CODES } from './exit-codes.ts';
import { HELP_OPTION, VERSION_OPTION } from './parser/arguments.ts';
import { optionTitle, usageText } from './parser/help.ts';
import type { OptionSpec, ProgramSpec, VerbSpec } from './parser/table.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|');

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [titles, titles.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
}

function optionRow(option: OptionSpec): string[] {
  const setting = option.config === undefined ? undefined : settingKey(option.name, option.config);
  const fallback = setting?.default === undefined ? '' : ` Default: \`${setting.default}\`.`;
  return [`\`${cell(optionTitle(option))}\``, cell(`${option.help}${fallback}`)];
}

function verbSection(program: ProgramSpec, verb: VerbSpec): string[] {
  const parts = [`## lago ${verb.name}`, '', `${verb.summary}.`, '', '```', usageText(program, verb), '```', ''];
  if (verb.description !== undefined) parts.push(verb.description, '');
  if (verb.positionals.length > 0) {
    const rows = verb.positionals.map((spec) => [`\`${cell(spec.metavar)}\``, cell(spec.help)]);
    parts.push(...table(['Argument', 'Meaning'], rows), '');
  }
  if (verb.options.length > 0) parts.push(...table(['Option', 'Meaning'], verb.options.map(optionRow)), '');
  if (verb.examples.length > 0) {
    parts.push('```sh', ...verb.examples.map((example) => `lago ${example.line}   # ${example.does}`), '```', '');
  }
  return parts;
}

/** The text of docs/command-line.md, generated from the table that parses the command line. */
export function commandLineReference(program: ProgramSpec): string {
  return [
    '# Command line',
    '',
    '<!-- Made by scripts/write-references.ts from src-main/cli/program.ts. -->',
    '',
    `\`lago [global options] VERB [options] [arguments]\`; \`lagocli\` is the same program. ${program.description}`,
    '',
    'What a verb prints as its result goes to stdout in the format that `--out-format` names; progress, warnings and errors go to stderr.',
    'Ctrl-C, SIGTERM and SIGHUP undo what was begun; a second one quits at once. `lago VERB --help` shows what is below with the values',
    'in effect, and `lago completion` and `lago man` print completion scripts and the manual page.',
    '',
    '## Exit codes',
    '',
    ...table(
      ['Code', 'Meaning'],
      EXIT_CODES.map(([code, meaning]) => [code, cell(meaning)]),
    ),
    '',
    '`lago shell` exits with the code of the remote command.',
    '',
    '## Global options',
    '',
    'They stand before the verb or, written out in full, after it. All but the first two can also be set in lago.conf and in the',
    'environment, see `configuration.md`.',
    '',
    ...table(['Option', 'Meaning'], [HELP_OPTION, VERSION_OPTION, ...program.options].map(optionRow)),
    '',
    ...program.verbs.flatMap((verb) => verbSection(program, verb)),
  ].join('\n');
}

function settingRow(setting: SettingKey): string[] {
  const choices = setting.choices === undefined ? '' : ` One of: ${setting.choices.join(', ')}.`;
  const fallback = setting.default === undefined ? '' : `\`${setting.default}\``;
  return [`\`${setting.key}\``, setting.type, fallback, `\`${environmentName(setting)}\``, cell(`${setting.help}${choices}`)];
}

/** The text of docs/configuration.md, generated from the table of settings. */
export function configurationReference(): string {
  const sections = [...new Set(SETTINGS.map((setting) => setting.section))];
  return [
    '# Configuration',
    '',
    '<!-- Made by scripts/write-references.ts from src-shared/settings.ts. -->',
    '',
    'A value comes from, later ones win: the built-in defaults, `/etc/lago/lago.conf`, `lago/lago.conf` in each directory of',
    '`$XDG_CONFIG_DIRS` (default `/etc/xdg`; the first directory is the most important one), `lago/lago.conf` in `$XDG_CONFIG_HOME`',
    '(default `~/.config`), the environment, the command line. Files are merged key by key. A file that cannot be read is passed over; a',
    'malformed one stops every command and is named with its line. `lago generate-config` prints the effective values as such a file.',
    '',
    '## The file',
    '',
    'The dialect is that of Python’s configparser: `[section]`, then `key = value` or `key: value`; keys do not depend on case; `#` and `;`',
    'begin comment lines; deeper indented lines continue a value; `%(other)s` is replaced by another key of the section or of `[DEFAULT]`,',
    'and a percent sign is written `%%`. Section `[lago]` has the global options, every other section the options of the verb of that name.',
    'Unknown keys and sections are kept for plugins. A flag is on for any text but an empty one, `false`, `no`, `off` and `0`.',
    '',
    '```ini',
    '[lago]',
    'loglevel = debug',
    '',
    '[init]',
    'template_store = /srv/templates',
    '```',
    '',
    '## The environment',
    '',
    '`LAGO_NAME` sets `name` of `[lago]`, `LAGO__SECTION__NAME` sets `name` of `[section]`, where the section ends at the next two',
    'underscores (`LAGO__COPY-FROM-VM__HOST`). Names become lower case, values are taken as they are. A variable with an empty value is',
    'ignored with a warning. `LAGO_PREFIX_PATH` and `LAGO_WORKDIR_PATH` therefore choose the environment; a workdir or prefix name that is',
    'typed wins over them.',
    '',
    ...sections.flatMap((section) => [
      `## [${section}]`,
      '',
      ...table(['Key', 'Type', 'Default', 'Variable', 'Meaning'], SETTINGS.filter((one) => one.section === section).map(settingRow)),
      '',
    ]),
  ].join('\n');
}
