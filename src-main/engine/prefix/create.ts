import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { EnvironmentSpecs } from '../../../src-shared/specs.ts';
import { diskError } from '../core/json-file.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import type { CreateRequest } from '../engine.ts';
import { makePrefixKey } from '../guest/keys.ts';
import { createDisks } from './disks.ts';
import { prefixPaths, type PrefixPaths } from './layout.ts';
import { leaseSubnets } from './leases.ts';
import { readPrefixWithoutSpecs, writeSpecs } from './prefix.ts';
import { planForCreation } from './inspect.ts';
import { lockPrefix, type RecipeContext } from './recipe.ts';
import { writeRecord } from './record.ts';
import { defaultHostChoice } from './session.ts';
import { Workdir } from './workdir.ts';

export interface CreateEvents {
  onUuid(uuid: string): void;
  /** The prefix is complete on disk; nothing of it is undone any more. */
  onReady(root: string): Promise<void>;
}

/**
 * Makes a prefix from an init file. Everything is checked before anything is made; each effect is followed by its undo, so that a
 * failure or cancel leaves neither files nor leases. Answers the prefix's path.
 */
export async function createEnvironment(context: RecipeContext, request: CreateRequest, step: Step, events: CreateEvents): Promise<string> {
  const initFile = resolve(request.initFile);
  const root = join(resolve(request.workdir), request.name);
  const paths = prefixPaths(root);
  const host = request.host ?? defaultHostChoice(context.settings);
  const uuid = randomUUID().replaceAll('-', '');
  events.onUuid(uuid);
  const workdir = await Workdir.loadOrCreate(request.workdir);
  const draft = await planForCreation(context, initFile, { root, uuid, request });

  return await step.step('Initialize and populate prefix', async (whole) => {
    await using undo = new UndoStack(step.log);
    await using lock = await whole.step('Initialize prefix', async (initialize) => {
      await initialize.step('Create prefix dirs', async (one) => await makeFolders(request, paths, undo, one));
      const held = await lockPrefix(paths, 'init', initialize.signal);
      try {
        await writeRecord(paths.record, {
          version: 1,
          phase: 'creating',
          host,
          initFile,
          createdAt: Date.now(),
          snapshots: [],
          current: null,
        });
        await initialize.step('Generate prefix uuid', async () => await writeFile(paths.uuid, uuid));
        await initialize.step('Create ssh keys', async () => await makePrefixKey(root, `lago ${request.name}`));
      } catch (error) {
        await held.release();
        throw error;
      }
      return held;
    });
    const gateways = await leaseSubnets(context.settings, host, { root, uuid, specs: draft.specs, signal: whole.signal }, undo);
    const { specs, templates } = gateways === undefined ? draft : await planForCreation(context, initFile, { root, uuid, request, gateways });
    const complete = await createDisks(context, { paths, uuid, specs, templates, skipBootstrap: request.skipBootstrap === true }, whole);
    await whole.step('Copying any deploy scripts', async (one) => await copyScripts(draft.scripts, paths, one));
    await whole.step('Save prefix', async (save) => await saveAll(paths, complete, save));
    whole.checkpoint();
    await markReady(paths, { host, initFile });
    await workdir.added(request.name, request.setCurrent === true);
    undo.commit();
    await lock.release();
    await events.onReady(root);
    return root;
  });
}

async function makeFolders(request: CreateRequest, paths: PrefixPaths, undo: UndoStack, step: Step): Promise<void> {
  await clearHalfMade(paths, step);
  try {
    await mkdir(paths.root);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw diskError(error, paths.root);
    throw new EngineError('prefix.exists', `Prefix with name ${basename(paths.root)} already exists in workdir ${resolve(request.workdir)}.`, {
      cause: error,
      hint: 'Solution: specify a different prefix name or remove it.',
    });
  }
  undo.add(`remove ${paths.root}`, async () => await rm(paths.root, { recursive: true, force: true }));
  await mkdir(paths.virt);
  await mkdir(paths.images, { mode: 0o755 });
  await mkdir(paths.logs);
  await mkdir(paths.scripts);
}

/** A folder in phase `creating` that nobody holds is what a killed `init` left: it is removed, so that the name is free again. */
async function clearHalfMade(paths: PrefixPaths, step: Step): Promise<void> {
  const left = await readPrefixWithoutSpecs(paths.root);
  if (left?.record?.phase !== 'creating') return;
  await using _lock = await lockPrefix(paths, 'init', step.signal);
  step.log.info(`Removing what an interrupted init left at ${paths.root}.`);
  await rm(paths.root, { recursive: true, force: true });
}

async function copyScripts(scripts: ReadonlyMap<string, string>, paths: PrefixPaths, step: Step): Promise<void> {
  for (const [name, source] of scripts) {
    step.checkpoint();
    await copyFile(source, join(paths.scripts, name)).catch((error: unknown) => {
      throw diskError(error, source);
    });
  }
}

async function saveAll(paths: PrefixPaths, specs: EnvironmentSpecs, step: Step): Promise<void> {
  await step.step('Save specs', async () => await writeSpecs(paths, specs));
}
