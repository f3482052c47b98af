import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { diskError } from '../../core/files/disk-error.ts';
import type { Step } from '../../core/operation.ts';
import { UndoStack } from '../../core/undo.ts';
import { requireSpace, type SpaceOptions } from '../../disk/free-space.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import { type Prefix, readSpecs } from '../../prefix/prefix.ts';
import { isWorkdir, newPrefixName, Workdir } from '../../prefix/workdir.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import { beginCopy, fillCopy, type Locks, letGo, restoreCopy } from '../fork/copy.ts';
import { requireOwnFiles } from './admit.ts';
import { linkOrCopy } from './copy-file.ts';
import { requireMachine } from './machine.ts';
import { type Manifest, readManifest, requireWhole } from './manifest.ts';
import type { ResumeRequest } from './portable-request.ts';

/** Files are linked, or copied from a disk that limits it. */
const PARALLEL = 2;

/**
 * Creates an environment, on a host of its own, that goes on from an exported snapshot: with the processes, memory, connections and
 * addresses of its VMs. It has the snapshot as a point of its own, and needs the folder no more. Returns the prefix's path. All or nothing.
 * `input.missing-file` for another folder, `input.invalid` for one that is damaged, of a newer version or that names foreign files,
 * `not-available` when this machine cannot go on with the memory, `prefix.exists`, `host.no-space`.
 */
export async function resumeEnvironment(
  context: RecipeContext,
  request: ResumeRequest,
  step: Step,
  space: SpaceOptions = {},
): Promise<string> {
  const folder = resolve(request.folder);
  const workdir = resolve(request.workdir);
  const name = newPrefixName(request.name);
  const target = join(workdir, name);
  const { manifest, source } = await step.step('Check the exported snapshot', async (one) => await openExported(folder, context, one));
  const { snapshot } = manifest;
  if (await isWorkdir(workdir)) await (await Workdir.load(workdir)).requireFree(name);
  const locks: Locks = { held: [] };
  try {
    await using undo = new UndoStack(step.log);
    const running = manifest.machine !== null;
    const copy = await step.step(`Prepare ${name}`, async (one) => {
      return await beginCopy(context, source, { target, forkedFrom: undefined, running }, { locks, undo }, one);
    });
    if (copy.session !== undefined && manifest.machine !== null) await requireMachine(copy.session, manifest.machine, step.signal);
    await step.step('Bring disks and memory', async (one) => await bringFiles(source, target, manifest, one, space), { weight: 3 });
    await step.step('Put layers on the disks', async (one) => await fillCopy(source, snapshot, copy, one));
    await step.step('Restore VMs', async (one) => await restoreCopy(copy, snapshot, one), { weight: 3 });
    step.checkpoint();
    await letGo(copy, snapshot, { keep: true }, step);
    undo.commit();
    if (request.setCurrent === true) await copy.workdir.added(name, true);
    return target;
  } finally {
    for (const lock of locks.held) await lock[Symbol.asyncDispose]();
  }
}

/** Reads the folder as a prefix, once nothing in it can lead out of it. */
async function openExported(
  folder: string,
  { settings }: RecipeContext,
  step: Step,
): Promise<{ readonly manifest: Manifest; readonly source: Prefix }> {
  const manifest = await readManifest(folder);
  await requireWhole(folder, manifest, step.signal);
  const paths = prefixPaths(folder);
  const { environment, snapshot, snapshotKeep, exportedAt } = manifest;
  const source: Prefix = {
    paths,
    name: environment.name,
    uuid: environment.uuid,
    initialized: true,
    specs: await readSpecs(paths),
    record: {
      version: 3,
      phase: 'ready',
      host: { kind: 'embedded', uplink: settings.uplink },
      initFile: null,
      createdAt: exportedAt,
      snapshots: [snapshot],
      current: snapshot.name,
      pending: null,
      ...(snapshotKeep === undefined ? {} : { snapshotKeep }),
    },
  };
  await requireOwnFiles(source, manifest, step.signal);
  return { manifest, source };
}

/** Gives the new prefix the images and what the snapshot has kept. */
async function bringFiles(source: Prefix, target: string, { files, snapshot }: Manifest, step: Step, space: SpaceOptions): Promise<void> {
  const { root } = source.paths;
  const wanted = Object.keys(files).filter((name) => name.startsWith('images/') || name.startsWith(`snapshots/${snapshot.name}/`));
  await requireSpace(target, await neededBytes(root, target, wanted), `The environment ${basename(target)}`, space);
  for (const folder of new Set(wanted.map((name) => dirname(join(target, name))))) await makeFolder(folder);
  await step.each(
    wanted,
    PARALLEL,
    (name) => `Bring ${basename(name)}`,
    async (name, one) => {
      const mode = name.startsWith('images/') ? 0o644 : 0o600;
      await linkOrCopy(join(root, name), join(target, name), mode, one);
    },
  );
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw diskError(error, folder);
  });
}

/** Links take no space. */
async function neededBytes(root: string, target: string, names: readonly string[]): Promise<number> {
  const found = await Promise.all(names.map(async (name) => await stat(join(root, name))));
  const here = (await stat(target)).dev;
  return found.filter(({ dev }) => dev !== here).reduce((sum, { blocks }) => sum + blocks * 512, 0);
}
