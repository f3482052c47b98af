import { allVerbs, type VerbInputKind, type VerbInputs } from '../../../src-shared/verbs.ts';
import { callVerb } from '../../engine/index.ts';
import type { VerbHandler } from '../context.ts';
import { listValue, type PositionalSpec, textValue, type Values, type VerbSpec } from '../parser/table.ts';

/** For each kind of input: its positionals, and how to read them. */
interface Reader {
  readonly positionals: readonly PositionalSpec[];
  read(values: Values): VerbInputs[VerbInputKind];
}

const SNAPSHOT_NAME: Reader = {
  positionals: [{ name: 'snapshot_name', metavar: 'SNAPSHOT_NAME', arity: 'one', help: 'Its name.', completes: 'snapshot' }],
  read: (values) => ({ name: textValue(values, 'snapshot_name') ?? '' }),
};

const READERS: Readonly<Record<VerbInputKind, Reader>> = {
  nothing: { positionals: [], read: () => ({}) },
  vms: {
    positionals: [{ name: 'vms', metavar: 'VM_NAME', arity: 'many', help: 'The VMs; all of them by default.', completes: 'vm' }],
    read: (values) => ({ vms: listValue(values, 'vms') ?? [] }),
  },
  snapshot: SNAPSHOT_NAME,
  revert: SNAPSHOT_NAME,
};

/** The verbs of the engine's table that need no code in the command line, as specs for parsing and help. */
export function plainVerbs(): readonly VerbSpec[] {
  return allVerbs().flatMap(({ kind, takes, command }) =>
    command === undefined ? [] : [{ name: kind, ...command, positionals: READERS[takes].positionals, options: [], available: true }],
  );
}

/** The handler of a plain verb; undefined when there is none of that name. */
export function plainVerbHandler(name: string): VerbHandler | undefined {
  const verb = allVerbs().find(({ kind, command }) => kind === name && command !== undefined);
  if (verb === undefined) return undefined;
  return async (context) => {
    const { path } = await context.prefix();
    const input = READERS[verb.takes].read(context.values);
    await context.withEngine(async (engine) => await context.follow((options) => callVerb(engine, verb, path, input, options)));
    return 0;
  };
}
