import { EngineError } from '../../../src-shared/errors.ts';
import { allVerbs, SHUTDOWN_SECONDS, type VerbInputKind, type VerbInputs } from '../../../src-shared/verbs.ts';
import { callVerb } from '../../engine/index.ts';
import type { VerbHandler } from '../context.ts';
import { flagValue, listValue, type OptionSpec, type PositionalSpec, textValue, type Values, type VerbSpec } from '../parser/table.ts';

/** For each kind of input: its positionals and options, and how to read them. */
interface Reader {
  readonly positionals: readonly PositionalSpec[];
  readonly options?: readonly OptionSpec[];
  read(values: Values): VerbInputs[VerbInputKind];
}

const VMS: PositionalSpec = {
  name: 'vms',
  metavar: 'VM_NAME',
  arity: 'many',
  help: 'The VMs; all of them by default.',
  completes: 'vm',
};

const SHUTDOWN_OPTIONS: readonly OptionSpec[] = [
  { flags: ['-r', '--reboot'], name: 'reboot', kind: 'flag', help: 'Reboot instead.' },
  {
    flags: ['--force'],
    name: 'force',
    kind: 'optional',
    metavar: 'SECONDS',
    type: 'integer',
    help: `Power off (or reset) what has not obeyed after this time; ${SHUTDOWN_SECONDS} s if no time is given.`,
  },
];

/** `--force [SECONDS]`. */
function forceAfter(values: Values): number | undefined {
  const seconds = textValue(values, 'force');
  if (seconds === undefined) return values['force'] === true ? SHUTDOWN_SECONDS : undefined;
  if (Number(seconds) < 0) throw new EngineError('input.usage', 'argument --force: the number of seconds cannot be negative.');
  return Number(seconds);
}

const DEPLOY: Reader = {
  positionals: [{ ...VMS, help: 'The VMs; by default all that have deploy scripts.' }],
  options: [
    {
      flags: ['--from'],
      name: 'from',
      kind: 'optional',
      metavar: 'SCRIPT',
      help: 'Begin at this script in each VM that has it: its name, the end of its name, or its number. Without a value: at the script that failed, in VMs that have not finished. Write it after the names of VMs.',
    },
    {
      flags: ['--timeout'],
      name: 'timeout',
      kind: 'value',
      metavar: 'SECONDS',
      type: 'number',
      help: 'End a script that takes longer; by default there is no limit.',
    },
  ],
  read: (values) => {
    const from = values['from'] === true ? true : textValue(values, 'from');
    const timeout = textValue(values, 'timeout');
    return {
      vms: listValue(values, 'vms') ?? [],
      ...(from === undefined ? {} : { from }),
      ...(timeout === undefined ? {} : { timeout: Number(timeout) }),
    };
  },
};

/** Verbs that take anything else have code of their own. */
const READERS: Readonly<Partial<Record<VerbInputKind, Reader>>> = {
  nothing: { positionals: [], read: () => ({}) },
  vms: {
    positionals: [VMS],
    read: (values) => ({ vms: listValue(values, 'vms') ?? [] }),
  },
  shutdown: {
    positionals: [VMS],
    options: SHUTDOWN_OPTIONS,
    read: (values) => ({ vms: listValue(values, 'vms') ?? [], reboot: flagValue(values, 'reboot'), forceAfter: forceAfter(values) }),
  },
  deploy: DEPLOY,
};

/** The verbs of the engine's table that need no code in the command line, as specs for parsing and help. */
export function plainVerbs(): readonly VerbSpec[] {
  return allVerbs().flatMap(({ kind, takes, command }) => {
    const reader = READERS[takes];
    if (command === undefined || reader === undefined) return [];
    const { positionals, options = [] } = reader;
    return [{ name: kind, ...command, positionals, options }];
  });
}

/** The handler of a plain verb; undefined when there is none of that name. */
export function plainVerbHandler(name: string): VerbHandler | undefined {
  const verb = allVerbs().find(({ kind, command }) => kind === name && command !== undefined);
  const reader = verb === undefined ? undefined : READERS[verb.takes];
  if (verb === undefined || reader === undefined) return undefined;
  return async (context) => {
    const { path } = await context.prefix();
    const input = reader.read(context.values);
    await context.withEngine(async (engine) => await context.follow((options) => callVerb(engine, verb, path, input, options)));
    return 0;
  };
}
