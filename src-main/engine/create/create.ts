import { randomUUID } from 'node:crypto';
import { copyFile, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { HostChoice } from '../../../src-shared/host/host-choice.ts';
import type { EnvironmentSpecs } from '../../../src-shared/specs.ts';
import { diskError, writeJson } from '../core/files/json-file.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import { makePrefixKey } from '../guest/keys.ts';
import type { PlannedEnvironment } from '../plan/plan.ts';
import type { ScriptCopy } from '../plan/plan-scripts.ts';
import { expandPrefixPath, type PrefixPaths, prefixPaths } from '../prefix/layout.ts';
import { readPrefixWithoutSpecs, writeSpecs } from '../prefix/prefix.ts';
import { type PrefixRecord, writeRecord } from '../prefix/record.ts';
import { newPrefixName } from '../prefix/workdir.ts';
import { packagesUrl } from '../runtime/packages/package-server.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { remoteFiles, remoteOf, requireSendable } from '../runtime/remote-files.ts';
import { defaultHostChoice } from '../runtime/session.ts';
import { claimName, LockPlace, openWorkdir } from './claim.ts';
import type { CreateRequest } from './create-request.ts';
import { createDisks } from './disks.ts';
import { draftEnvironment, requireSound } from './draft.ts';
import { leaseSubnets } from './leases.ts';
import type { Templates } from './templates.ts';

export interface CreateEvents {
  onUuid(uuid: string): void;
  /** Called when the prefix is complete on disk; from here on nothing is undone. */
  onReady(root: string): Promise<void>;
}

/** Lago's release with this file format; Lago reads it to choose its DNS style. */
const FORMAT_VERSION = '1.0';
/** How often to plan again when another environment takes a subnet in between. */
const ATTEMPTS = 5;

/**
 * Creates a prefix from an init file. Everything is checked before anything is created. Each effect has its undo, so that a failure or
 * cancel leaves neither files nor leases. Returns the prefix's path. `input.invalid` with every issue, `prefix.exists`, `conflict.*`,
 * `remote.*`, `host.*`.
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
  if (host.kind === 'remote') await requireRemote(context, { host, paths, uuid, environment }, step);
  for (const issue of environment.issues) if (issue.severity === 'warning') step.log.warn(`${issue.path}: ${issue.message}`);
  return await step.step('Initialize and populate prefix', async (whole) => {
    // Released after the undo: until then nobody else may use the name.
    await using lock = new LockPlace();
    await using undo = new UndoStack(step.log);
    const record: PrefixRecord = {
      version: 3,
      phase: 'creating',
      host,
      initFile,
      createdAt: Date.now(),
      snapshots: [],
      current: null,
      pending: null,
      ...(environment.snapshotKeep === undefined ? {} : { snapshotKeep: { ...environment.snapshotKeep } }),
      ...(environment.repos === undefined ? {} : { repos: environment.repos }),
    };
    const workdir = await openWorkdir(workdirPath, basename(root), undo);
    await whole.step('Initialize prefix', async (one) => {
      await one.step('Create prefix dirs', async (dirs) => await claimName(context, workdir, paths, record, { lock, undo }, dirs));
      await one.step('Generate prefix uuid', async () => await writeFile(paths.uuid, uuid));
      await one.step('Create ssh keys', async () => await makePrefixKey(paths.root, `lago ${basename(paths.root)}`));
    });
    for (
      let attempt = 1;
      !(await leaseSubnets(context.settings, host, { root, uuid, nets: environment.specs.nets, signal: whole.signal }, undo));
      attempt++
    ) {
      if (attempt === ATTEMPTS)
        throw new EngineError('conflict.subnet', 'Other environments kept taking the subnets that were planned.', { hint: 'Try again.' });
      ({ environment, templates } = await draft());
    }
    const specs = await createDisks(
      { paths, uuid, initFile, environment, templates, undo, settings: context.settings, packagesUrl: clientUrl(environment, host) },
      whole,
    );
    if (host.kind === 'remote') await sendFiles(context, paths, undo, whole);
    await whole.step('Copying any deploy scripts', async (one) => await copyScripts(environment.scripts, paths, one));
    await whole.step('Save prefix', async (save) => await savePrefix(paths, specs, record, save));
    undo.commit();
    await workdir.added(basename(root), request.setCurrent === true);
    await lock.held?.release();
    await events.onReady(root);
    return root;
  });
}

/** Where guests that are to be told of the environment's packages find them. On another machine nothing is served. */
function clientUrl({ repos, specs }: PlannedEnvironment, host: HostChoice): string | undefined {
  return repos?.client === 'auto' && host.kind !== 'remote' ? packagesUrl(specs.nets, repos) : undefined;
}

/** Everything that the other machine must have and be, before anything is created. */
async function requireRemote(
  context: RecipeContext,
  made: {
    readonly host: HostChoice & { kind: 'remote' };
    readonly paths: PrefixPaths;
    readonly uuid: string;
    readonly environment: PlannedEnvironment;
  },
  step: Step,
): Promise<void> {
  const { host, paths, uuid, environment } = made;
  const { place } = remoteFiles({ paths, uuid, name: basename(paths.root) }, host, { ...context, log: step.log });
  requireSendable(environment.specs, paths.root, place.machine.name);
  try {
    await place.check(step.signal);
  } catch (error) {
    await place.machine.close();
    throw error;
  }
}

/** Sends the disks to the machine that the VMs will run on. */
async function sendFiles(context: RecipeContext, paths: PrefixPaths, undo: UndoStack, step: Step): Promise<void> {
  const prefix = await readPrefixWithoutSpecs(paths.root);
  const remote = prefix === undefined ? undefined : remoteOf(context, prefix, step.log);
  if (remote === undefined) return;
  const { place, send } = remote;
  undo.add(`remove what is on ${place.machine.name}`, async () => await place.remove());
  await step.step(`Send the disks to ${place.machine.name}`, async (one) => {
    await send({ log: one.log, signal: one.signal, progress: (fraction, detail) => one.progress(fraction, detail) });
  });
}

async function copyScripts(scripts: readonly ScriptCopy[], paths: PrefixPaths, step: Step): Promise<void> {
  for (const script of scripts) {
    step.checkpoint();
    await copyFile(script.source, expandPrefixPath(script.path, paths.root)).catch((error: unknown) => {
      throw diskError(error, script.source);
    });
  }
}

/** Writes everything, then marks the prefix ready in one last write: a marked prefix is complete, an unmarked one half-made. */
async function savePrefix(paths: PrefixPaths, specs: EnvironmentSpecs, record: PrefixRecord, step: Step): Promise<void> {
  await step.step('Save specs', async () => await writeSpecs(paths, specs));
  await writeJson(paths.metadata, { lago_version: FORMAT_VERSION });
  step.checkpoint();
  await step.step('Tag prefix as initialized', async () => {
    await writeFile(paths.initialized, '');
    await writeRecord(paths.record, { ...record, phase: 'ready' });
  });
}
