import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { EnvironmentSpecs } from '../../../src-shared/specs.ts';
import { diskError, writeJson } from '../core/json-file.ts';
import type { HeldLock } from '../core/lock.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import type { CreateRequest } from '../engine.ts';
import { makePrefixKey } from '../guest/keys.ts';
import { createDisks } from './disks.ts';
import { draftEnvironment, requireSound } from './draft.ts';
import { expandPrefixPath, type PrefixPaths, prefixPaths } from './layout.ts';
import { leaseSubnets } from './leases.ts';
import type { PlannedEnvironment } from './plan.ts';
import type { ScriptCopy } from './plan-scripts.ts';
import { writeSpecs } from './prefix.ts';
import { lockPrefix, type RecipeContext } from './recipe.ts';
import { type PrefixRecord, readRecord, writeRecord } from './record.ts';
import { defaultHostChoice } from './session.ts';
import type { Templates } from './templates.ts';
import { newPrefixName, Workdir } from './workdir.ts';

export interface CreateEvents {
  onUuid(uuid: string): void;
  /** The prefix is complete on disk; nothing of it is undone any more. */
  onReady(root: string): Promise<void>;
}

/** The release whose files these are; Lago reads it to choose its DNS style. */
const FORMAT_VERSION = '1.0';
/** How often planning begins again because another environment took a subnet in between. */
const ATTEMPTS = 5;

/**
 * Makes a prefix from an init file. Everything is checked before anything is made; each effect is followed by its undo, so that a
 * failure or cancel leaves neither files nor leases. Answers the prefix's path. `input.invalid` with every issue, `prefix.exists`,
 * `conflict.*`, `remote.*`, `host.*`.
 */
export async function createEnvironment(context: RecipeContext, request: CreateRequest, step: Step, events: CreateEvents): Promise<string> {
  const initFile = resolve(request.initFile);
  const workdirPath = resolve(request.workdir);
  const root = join(workdirPath, newPrefixName(request.name));
  const paths = prefixPaths(root);
  const host = request.host ?? defaultHostChoice(context.settings);
  const uuid = randomUUID().replaceAll('-', '');
  events.onUuid(uuid);

  async function draft(): Promise<{ readonly environment: PlannedEnvironment; readonly templates: Templates }> {
    const made = await draftEnvironment(context, step.log, {
      initFile,
      root,
      workdir: workdirPath,
      host,
      cwd: process.cwd(),
      skipBootstrap: request.skipBootstrap,
      skipBuild: request.skipBuild,
      allowPaths: request.allowPaths,
      signal: step.signal,
    });
    return { environment: requireSound(made, initFile), templates: made.templates };
  }

  let { environment, templates } = await draft();
  for (const issue of environment.issues) if (issue.severity === 'warning') step.log.warn(`${issue.path}: ${issue.message}`);
  return await step.step('Initialize and populate prefix', async (whole) => {
    await using undo = new UndoStack(step.log);
    const record: PrefixRecord = {
      version: 2,
      phase: 'creating',
      host,
      initFile,
      createdAt: Date.now(),
      snapshots: [],
      current: null,
      pending: null,
    };
    const workdir = await openWorkdir(workdirPath, undo);
    await using lock = await whole.step(
      'Initialize prefix',
      async (one) => await initializePrefix(paths, workdirPath, uuid, record, undo, one),
    );
    for (
      let attempt = 1;
      !(await leaseSubnets(context.settings, host, { root, uuid, nets: environment.specs.nets, signal: whole.signal }, undo));
      attempt++
    ) {
      if (attempt === ATTEMPTS)
        throw new EngineError('conflict.subnet', 'Other environments kept taking the subnets that were planned.', { hint: 'Try again.' });
      ({ environment, templates } = await draft());
    }
    const specs = await createDisks({ paths, uuid, initFile, environment, templates, undo, settings: context.settings }, whole);
    await whole.step('Copying any deploy scripts', async (one) => await copyScripts(environment.scripts, paths, one));
    await whole.step('Save prefix', async (save) => await savePrefix(paths, specs, record, save));
    undo.commit();
    await workdir.added(basename(root), request.setCurrent === true);
    await lock.release();
    await events.onReady(root);
    return root;
  });
}

async function openWorkdir(path: string, undo: UndoStack): Promise<Workdir> {
  const workdir = await Workdir.loadOrCreate(path);
  undo.add(`mend workdir ${path}`, async () => void (await workdir.repair()));
  return workdir;
}

async function initializePrefix(
  paths: PrefixPaths,
  workdir: string,
  uuid: string,
  record: PrefixRecord,
  undo: UndoStack,
  step: Step,
): Promise<HeldLock> {
  await step.step('Create prefix dirs', async (one) => await makeFolders(paths, workdir, undo, one));
  const lock = await lockPrefix(paths, 'init', step.signal);
  try {
    await writeRecord(paths.record, record);
    await step.step('Generate prefix uuid', async () => await writeFile(paths.uuid, uuid));
    await step.step('Create ssh keys', async () => await makePrefixKey(paths.root, `lago ${basename(paths.root)}`));
    return lock;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function makeFolders(paths: PrefixPaths, workdir: string, undo: UndoStack, step: Step): Promise<void> {
  await clearHalfMade(paths, step);
  try {
    await mkdir(paths.root);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw diskError(error, paths.root);
    throw new EngineError('prefix.exists', `Prefix with name ${basename(paths.root)} already exists in workdir ${workdir}`, {
      cause: error,
      hint: 'Specify a different prefix name (--prefix-name) or remove it (lago destroy).',
    });
  }
  undo.add(`remove ${paths.root}`, async () => await rm(paths.root, { recursive: true, force: true }));
  for (const folder of [paths.virt, paths.images, paths.logs, paths.scripts]) await mkdir(folder);
}

/**
 * What a killed `init` left is removed, so that the name is free again: a folder in phase `creating` that nobody holds, or one that it
 * had no time to put anything into.
 */
async function clearHalfMade(paths: PrefixPaths, step: Step): Promise<void> {
  const { record, files } = await lookAt(paths);
  if (record?.phase !== 'creating' && files.some((name) => name !== basename(paths.lock))) return;
  if (files.length > 0) {
    await using _lock = await lockPrefix(paths, 'init', step.signal);
    step.log.info(`Removing what an interrupted init left at ${paths.root}.`);
    await rm(paths.root, { recursive: true, force: true });
  } else {
    // Fails when it is not empty any more, that is when another init has just begun with this name.
    await rmdir(paths.root).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' && error.code !== 'ENOTEMPTY') throw diskError(error, paths.root);
    });
  }
}

async function lookAt(paths: PrefixPaths): Promise<{ readonly record: PrefixRecord | undefined; readonly files: readonly string[] }> {
  try {
    return { files: await readdir(paths.root), record: await readRecord(paths.record) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { files: [], record: undefined };
    // A file of that name: not ours, and making the folder says so.
    if (code === 'ENOTDIR') return { files: ['?'], record: undefined };
    throw diskError(error, paths.root);
  }
}

async function copyScripts(scripts: readonly ScriptCopy[], paths: PrefixPaths, step: Step): Promise<void> {
  for (const script of scripts) {
    step.checkpoint();
    await copyFile(script.source, expandPrefixPath(script.path, paths.root)).catch((error: unknown) => {
      throw diskError(error, script.source);
    });
  }
}

/** Writes everything and marks the prefix ready, in this order: what is marked is complete. */
async function savePrefix(paths: PrefixPaths, specs: EnvironmentSpecs, record: PrefixRecord, step: Step): Promise<void> {
  await step.step('Save specs', async () => await writeSpecs(paths, specs));
  await writeJson(paths.metadata, { lago_version: FORMAT_VERSION });
  step.checkpoint();
  await writeRecord(paths.record, { ...record, phase: 'ready' });
  await step.step('Tag prefix as initialized', async () => await writeFile(paths.initialized, ''));
}
