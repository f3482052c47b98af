import { HELP_OPTION, VERSION_OPTION } from './parser/arguments.ts';
import type { OptionSpec, PositionalSpec, ProgramSpec, VerbSpec } from './parser/table.ts';

/** Commands whose output completes a word; they only read. */
const SOURCES: Readonly<Record<NonNullable<PositionalSpec['completes']>, string>> = {
  vm: "lago --loglevel error --out-format flat status 2>/dev/null | sed -n 's|^VMs/\\([^/]*\\)/status: .*|\\1|p'",
  prefix: 'lago --loglevel error --out-format flat list 2>/dev/null',
  snapshot: 'lago --loglevel error --out-format json snapshot --list 2>/dev/null | sed -n \'s|^        "\\(.*\\)": \\[.*|\\1|p\' | sort -u',
  file: '',
  directory: '',
};

const flagsOf = (options: readonly OptionSpec[]): string[] =>
  options.filter((option) => option.hidden !== true).flatMap((option) => option.flags);

function verbOptions(verb: VerbSpec): readonly OptionSpec[] {
  return [...verb.options, HELP_OPTION];
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The script that `lago completion bash` prints. */
export function bashCompletion(program: ProgramSpec): string {
  const globals = [...program.options, HELP_OPTION, VERSION_OPTION];
  const choices = [...program.options, ...program.verbs.flatMap((verb) => verb.options)].filter((option) => option.choices !== undefined);
  const valued = program.options.filter((option) => option.kind !== 'flag').flatMap((option) => option.flags);
  const cases = program.verbs.map((verb) => {
    const target = verb.positionals[0];
    const words = target?.choices === undefined ? '' : target.choices.join(' ');
    const source = target?.completes === undefined ? '' : SOURCES[target.completes];
    const lines = [`    ${verb.name})`, `      options=${quote(flagsOf(verbOptions(verb)).join(' '))}`];
    if (words !== '') lines.push(`      words=${quote(words)}`);
    if (source !== '') lines.push(`      words=$(${source})`);
    if (verb.positionals.some((one) => one.completes === 'file' || one.completes === 'directory' || one.arity === 'rest'))
      lines.push('      files=1');
    return [...lines, '      ;;'].join('\n');
  });
  const seen = new Set<string>();
  const values = choices.flatMap((option) => {
    const flags = option.flags.filter((flag) => !seen.has(flag));
    for (const flag of flags) seen.add(flag);
    return flags.length === 0
      ? []
      : [`    ${flags.join('|')}) COMPREPLY=($(compgen -W ${quote(option.choices?.join(' ') ?? '')} -- "$current")); return ;;`];
  });
  return `# bash completion for lago
_lago() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} verb= index options= words= files=
  case $previous in
${values.join('\n')}
  esac
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      ${valued.join('|')}) ((index++)) ;;
      -*) ;;
      *) verb=\${COMP_WORDS[index]}; break ;;
    esac
  done
  case $verb in
    '')
      options=${quote(flagsOf(globals).join(' '))}
      words=${quote(program.verbs.map((verb) => verb.name).join(' '))}
      ;;
${cases.join('\n')}
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    [[ -n $files ]] && COMPREPLY+=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _lago lago lagocli`;
}

function zshOption(option: OptionSpec): string[] {
  const help = option.help.replace(/[[\]:]/g, ' ');
  const value =
    option.kind === 'flag'
      ? ''
      : `${option.kind === 'optional' ? '::' : ':'}${option.metavar ?? option.name}:${option.choices === undefined ? '_files' : `(${option.choices.join(' ')})`}`;
  return option.flags.map((flag) => quote(`${flag}[${help}]${value}`));
}

/** The script that `lago completion zsh` prints. */
export function zshCompletion(program: ProgramSpec): string {
  const verbs = program.verbs;
  const cases = verbs.map((verb) => {
    const positionals = verb.positionals.map((spec) => {
      const position = spec.arity === 'many' || spec.arity === 'rest' ? '*' : '';
      const listed = spec.completes !== undefined && SOURCES[spec.completes] !== '';
      const action = spec.choices !== undefined ? `(${spec.choices.join(' ')})` : listed ? `_lago_${spec.completes}` : '_files';
      return quote(`${position}:${spec.metavar}:${action}`);
    });
    const parts = [...verbOptions(verb).flatMap(zshOption), ...positionals];
    return `        ${verb.name})\n          _arguments ${parts.join(' \\\n            ')}\n          ;;`;
  });
  const sources = Object.entries(SOURCES).filter(([, source]) => source !== '');
  return `#compdef lago lagocli
${sources.map(([name, source]) => `_lago_${name}() { compadd -- \${(f)"$(${source})"} }`).join('\n')}
_lago() {
  local -a verbs
  verbs=(
${verbs.map((verb) => `    ${quote(`${verb.name}:${verb.summary.replaceAll(':', ' ')}`)}`).join('\n')}
  )
  local context state line
  _arguments -C \\
    ${[...program.options, HELP_OPTION, VERSION_OPTION].flatMap(zshOption).join(' \\\n    ')} \\
    '1:verb:->verb' '*::argument:->arguments'
  case $state in
    verb) _describe verb verbs ;;
    arguments)
      case $line[1] in
${cases.join('\n')}
      esac
      ;;
  esac
}
_lago "$@"`;
}

function fishOption(option: OptionSpec, condition: string): string {
  const flags = option.flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(' ');
  const bare = option.kind === 'flag' || option.kind === 'optional';
  const value = bare ? '' : option.choices === undefined ? ' -r' : ` -x -a ${quote(option.choices.join(' '))}`;
  return `complete -c lago -n ${quote(condition)} ${flags}${value} -d ${quote(option.help)}`;
}

/** The script that `lago completion fish` prints. */
export function fishCompletion(program: ProgramSpec): string {
  const verbs = program.verbs;
  const none = `not __fish_seen_subcommand_from ${program.verbs.map((verb) => verb.name).join(' ')}`;
  const lines = ['# fish completion for lago', 'complete -c lago -f', 'complete -c lagocli -w lago'];
  for (const option of [...program.options, HELP_OPTION, VERSION_OPTION]) lines.push(fishOption(option, none));
  for (const verb of verbs) lines.push(`complete -c lago -n ${quote(none)} -a ${verb.name} -d ${quote(verb.summary)}`);
  for (const verb of verbs) {
    const condition = `__fish_seen_subcommand_from ${verb.name}`;
    for (const option of verbOptions(verb)) lines.push(fishOption(option, condition));
    for (const spec of verb.positionals) {
      if (spec.choices !== undefined) lines.push(`complete -c lago -n ${quote(condition)} -a ${quote(spec.choices.join(' '))}`);
      else if (spec.completes === 'file' || spec.completes === 'directory' || spec.arity === 'rest')
        lines.push(`complete -c lago -n ${quote(condition)} -F`);
      else if (spec.completes !== undefined)
        lines.push(`complete -c lago -n ${quote(condition)} -a ${quote(`(${SOURCES[spec.completes]})`)}`);
    }
  }
  return lines.join('\n');
}
