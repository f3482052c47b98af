import { EngineError } from '../../../src-shared/errors.ts';
import type { RemovalChoice } from '../../../src-shared/snapshot/snapshot-plans.ts';
import type { EditSnapshotInput, TakeSnapshotInput } from '../../../src-shared/verbs.ts';
import type { Engine } from '../../engine/index.ts';
import type { VerbContext } from '../context.ts';
import { removalText, snapshotTree } from '../output/snapshot-text.ts';
import { flagValue, listValue, textValue, type Values } from '../parser/table.ts';

/** What to do instead of taking one: at most one of these options is given. */
const ACTIONS = ['list', 'tree', 'delete', 'prune', 'edit'] as const;
type Action = (typeof ACTIONS)[number];

/** Options that only some actions take, as they are typed. */
const ONLY: Readonly<Record<string, { readonly typed: string; readonly actions: readonly Action[] }>> = {
  branch: { typed: '--branch', actions: ['prune'] },
  dry_run: { typed: '--dry-run', actions: ['delete', 'prune'] },
  rename: { typed: '--rename', actions: ['edit'] },
  note: { typed: '--note', actions: ['edit'] },
  tags: { typed: '--tags', actions: ['edit'] },
  pin: { typed: '--pin', actions: ['edit'] },
  unpin: { typed: '--unpin', actions: ['edit'] },
  accept: { typed: '--accept', actions: ['edit'] },
};

/** `lago snapshot`: takes a snapshot, or what its options say. */
export async function snapshot(context: VerbContext): Promise<number> {
  const { values } = context;
  const action = actionOf(values);
  const name = textValue(values, 'snapshot_name') ?? '';
  if ((action === undefined || action === 'delete' || action === 'edit') && name === '') {
    throw new EngineError('input.usage', 'No snapshot name provided', { hint: 'Use "lago snapshot NAME", or "lago snapshot --list".' });
  }
  if (action === 'prune' && name !== '') {
    throw new EngineError('input.usage', 'argument --prune: it takes no name.', {
      hint: `To delete a snapshot and everything that came from it: lago snapshot --prune --branch "${name}".`,
    });
  }
  const edit = action === 'edit' ? editOf(values, name) : undefined;
  const { path } = await context.prefix();
  await context.withEngine(async (engine) => {
    if (action === 'list') context.printValue(await engine.snapshot.list(path));
    else if (action === 'tree') await printTree(context, engine, path);
    else if (edit !== undefined) await context.follow((options) => engine.snapshot.edit(path, edit, options));
    else if (action === 'delete' || action === 'prune') await remove(context, engine, path, action === 'delete' ? name : undefined);
    else await context.follow((options) => engine.snapshot.create(path, taking(values, name), options));
  });
  return 0;
}

function taking(values: Values, name: string): TakeSnapshotInput {
  const [diskOnly, quiesce] = [flagValue(values, 'disk_only'), flagValue(values, 'quiesce')];
  if (quiesce && !diskOnly) throw new EngineError('input.usage', 'argument --quiesce: only with --disk-only.');
  return { name, diskOnly, quiesce };
}

function actionOf(values: Values): Action | undefined {
  const [action, other] = ACTIONS.filter((one) => flagValue(values, one));
  if (other !== undefined) throw new EngineError('input.usage', `argument --${other}: not allowed with argument --${action}.`);
  const take = ['disk_only', 'quiesce'].find((key) => action !== undefined && flagValue(values, key));
  if (take !== undefined)
    throw new EngineError('input.usage', `argument --${take.replace('_', '-')}: not allowed with argument --${action}.`);
  const stray = Object.entries(ONLY).find(([key, { actions }]) => values[key] !== undefined && !actions.some((one) => one === action));
  if (stray === undefined) return action;
  const [, { typed, actions }] = stray;
  throw new EngineError('input.usage', `argument ${typed}: only with ${actions.map((one) => `--${one}`).join(' or ')}.`);
}

function editOf(values: Values, name: string): EditSnapshotInput {
  const [pin, unpin] = [flagValue(values, 'pin'), flagValue(values, 'unpin')];
  if (pin && unpin) throw new EngineError('input.usage', 'argument --unpin: not allowed with argument --pin.');
  const edit: EditSnapshotInput = {
    name,
    rename: textValue(values, 'rename'),
    note: textValue(values, 'note'),
    tags: listValue(values, 'tags'),
    pinned: pin ? true : unpin ? false : undefined,
    accept: flagValue(values, 'accept') ? true : undefined,
  };
  const { name: _, ...changes } = edit;
  if (Object.values(changes).some((change) => change !== undefined)) return edit;
  throw new EngineError('input.usage', 'argument --edit: nothing to change.', {
    hint: 'Use --rename, --note, --tags, --pin, --unpin or --accept with it.',
  });
}

async function printTree(context: VerbContext, engine: Engine, path: string): Promise<void> {
  const { snapshots } = await engine.prefix.status(path);
  if (context.format !== 'default') context.printValue(snapshots);
  else for (const line of snapshotTree(snapshots)) context.print(line);
}

/** Deletes one snapshot, or several without a name, or says what that would do. */
async function remove(context: VerbContext, engine: Engine, path: string, name: string | undefined): Promise<void> {
  const branch = textValue(context.values, 'branch');
  if (flagValue(context.values, 'dry_run')) {
    const what: RemovalChoice = name !== undefined ? { name } : branch !== undefined ? { branch } : { unpinned: true };
    const plan = await engine.snapshot.removalPlan(path, what);
    if (context.format !== 'default') context.printValue(plan);
    else for (const line of removalText(plan)) context.print(line);
  } else if (name !== undefined) await context.follow((options) => engine.snapshot.remove(path, { name }, options));
  else await context.follow((options) => engine.snapshot.prune(path, { branch }, options));
}
