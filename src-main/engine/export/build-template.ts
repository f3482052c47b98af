import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { EngineError } from '../../../src-shared/errors.ts';
import type { ApplianceOptions } from '../appliance/appliance.ts';
import { customize } from '../appliance/customize.ts';
import { type BuilderOptions, customizeProblems } from '../appliance/customize-options.ts';
import { generalize } from '../appliance/sysprep.ts';
import { diskError, readJson } from '../core/files/json-file.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import { knownRepositories, pinTemplate, searchedRepositories, storePath } from '../create/templates.ts';
import { imageKind } from '../disk/foreign-image.ts';
import { requireSpace } from '../disk/free-space.ts';
import { requireXz } from '../disk/pack.ts';
import { convertImage, measureConversion, type ReadableFormat } from '../disk/qemu-img.ts';
import { findAccelerator } from '../host/kvm.ts';
import { expandPrefixPath, prefixPaths } from '../prefix/layout.ts';
import { readPrefix, requireDisksHere, vmSpec } from '../prefix/prefix.ts';
import { lockPrefix, type RecipeContext, requireReady } from '../runtime/recipe.ts';
import { addToRepository, readLocalRepository } from '../template/local-repository.ts';
import { openStore } from '../template/store.ts';
import type { BuildRequest, BuiltTemplate } from './build-request.ts';
import { requireOff } from './export.ts';
import { lookAtImage, writeImage } from './export-images.ts';
import { chooseTarget, openTarget, publishTarget } from './export-target.ts';

/** The image to make a template from. */
interface Source {
  readonly path: string;
  readonly format: ReadableFormat;
  readonly what: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

interface Customization {
  readonly options: BuilderOptions;
  /** Base of relative paths in it. */
  readonly cwd: string;
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
/** Keys that describe the source image and do not apply to the new one. */
const OLD_KEYS = [
  'name',
  'version',
  'base',
  'sha1',
  'size',
  'virtual-size',
  'compressed_size',
  'compressed_sha1',
  'checksum',
  'uncompressed_checksum',
  'timestamp',
];

/**
 * Makes a template from an image, another template or the first disk of a VM that is off: merges its backing chain, changes it with
 * virt-customize and virt-sysprep if requested, and lists it in a folder's repository JSON. It appears there complete; a failure or cancel
 * leaves nothing, and the source is never written to. `input.*`, `template.missing`, `vm.missing`, `conflict.locked` (the VM is on),
 * `host.*`.
 */
export async function buildTemplate(context: RecipeContext, request: BuildRequest, step: Step): Promise<BuiltTemplate> {
  const { name } = request;
  const now = new Date();
  const version = request.version ?? now.toISOString().replace(/[-:]/g, '').replace('T', '.').slice(0, 15);
  for (const [what, value] of [
    ['name', name],
    ['version', version],
  ] as const) {
    if (!NAME.test(value)) {
      throw new EngineError('input.invalid', `${JSON.stringify(value)} cannot be the ${what} of a template.`, {
        hint: 'Use letters, digits, ".", "_" and "-".',
      });
    }
  }
  const customizations = await customizationsOf(request);
  const folder = resolve(request.folder);
  await readLocalRepository(folder, { template: name, version });
  if (request.compress) await requireXz(step.signal);
  const handle = `${name}-${version}.qcow2`;
  const names = [request.compress ? `${handle}.xz` : handle, `${handle}.hash`, `${handle}.metadata`];
  return await withSource(context, request, step, async (source) => {
    await using undo = new UndoStack(step.log);
    await makeFolder(folder, undo);
    const target = await chooseTarget(folder, names, `lago-build-${randomBytes(4).toString('hex')}`);
    await openTarget(target, undo);
    const image = await prepare(context, source, { customizations, sysprep: request.sysprep, build: target.build }, step);
    const timestamp = Math.floor(now.getTime() / 1000);
    const written = await step.step(`Write ${handle}`, async (one) => {
      const looked = await lookAtImage({ source: image.path, what: source.what, format: image.format, layered: false }, one);
      await requireSpace(target.build, looked.size * (request.compress ? 2 : 1), `The template ${name}`);
      const metadata = { ...withoutOld(source.metadata), name, version, timestamp };
      return await writeImage(
        looked,
        { folder: target.build, name: handle, compress: request.compress, sparsify: undefined, metadata },
        one,
      );
    });
    step.checkpoint();
    await publishTarget(target, written.files, undo);
    const repository = await addToRepository(folder, { template: name, version, handle, timestamp }, step.signal);
    undo.commit();
    return { repository, name, version, image: join(folder, names[0] ?? handle), bytes: written.size };
  });
}

function withoutOld(metadata: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !OLD_KEYS.includes(key)));
}

async function makeFolder(folder: string, undo: UndoStack): Promise<void> {
  try {
    const first = await mkdir(folder, { recursive: true });
    if (first !== undefined) undo.add(`remove ${first}`, async () => await rm(first, { recursive: true, force: true }));
  } catch (error) {
    throw diskError(error, folder);
  }
}

/** Finds the source image and holds its environment's lock while `work` reads it. */
async function withSource<T>(context: RecipeContext, request: BuildRequest, step: Step, work: (source: Source) => Promise<T>): Promise<T> {
  const { from } = request;
  if ('image' in from) return await work(await imageSource(from.image));
  if ('template' in from) return await work(await templateSource(context, from.template, step));
  const paths = prefixPaths(from.prefix);
  await using _lock = await lockPrefix(paths, 'templates build', step.signal);
  const prefix = await readPrefix(from.prefix);
  requireReady(prefix);
  requireDisksHere(prefix, 'Building a template');
  const vm = vmSpec(prefix, from.vm);
  await requireOff(context, prefix, [vm], step.signal);
  const [disk] = vm.disks;
  if (disk === undefined || disk.format === 'iso')
    throw new EngineError('input.invalid', `The VM ${vm.name} has no disk to make a template of.`);
  const format = disk.format === 'raw' ? 'raw' : 'qcow2';
  const metadata = { ...disk.metadata, ...(vm.distro === undefined ? {} : { distro: vm.distro }) };
  return await work({ path: expandPrefixPath(disk.path, from.prefix), format, what: `${disk.name} of ${vm.name}`, metadata });
}

async function imageSource(path: string): Promise<Source> {
  if ((await stat(path).catch(() => undefined))?.isFile() !== true) {
    throw new EngineError('input.missing-file', `There is no image ${path}.`, {
      hint: 'Give the path of an image, or the name of a template.',
    });
  }
  const kind = await imageKind(path);
  if (kind === 'iso') throw new EngineError('input.invalid', `${path} is an ISO image, and a template is a disk.`);
  const metadata = (await readJson(`${path}.metadata`, z.record(z.string(), z.unknown()))) ?? {};
  return { path, format: kind, what: path, metadata };
}

async function templateSource({ settings, resourcesDir }: RecipeContext, text: string, step: Step): Promise<Source> {
  const { signal, log } = step;
  const repositories = searchedRepositories(await knownRepositories(settings, resourcesDir, log, signal));
  const known = repositories.some((repository) => repository.templates.has(text));
  const colon = known ? -1 : text.lastIndexOf(':');
  const [name, version] = colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
  const store = openStore(await storePath(settings));
  const template = await pinTemplate(repositories, store, name, version, { signal, log, orStored: true });
  const stored = await step.step(`Find template ${template.fullName}`, async (one) => {
    return await store.fetch(template, { signal: one.signal, log: one.log, progress: one.progress });
  });
  return { path: stored.path, format: stored.format, what: stored.fullName, metadata: stored.metadata };
}

const Steps = z.union([z.record(z.string(), z.unknown()).transform((step) => [step]), z.array(z.record(z.string(), z.unknown()))]);

/** The steps of a file, in the format of `build` in an init file (or just the options), then the scripts. All are checked. */
async function customizationsOf({ customizeFile, run }: BuildRequest): Promise<readonly Customization[]> {
  const steps: Customization[] = [];
  if (customizeFile !== undefined) {
    const path = resolve(customizeFile);
    for (const step of await readSteps(path)) {
      const only = Object.keys(step).length === 1 ? step['virt-customize'] : undefined;
      const options = typeof only === 'object' && only !== null ? (only as BuilderOptions) : step;
      steps.push({ options, cwd: dirname(path) });
    }
  }
  for (const script of run) {
    if ((await stat(script).catch(() => undefined))?.isFile() !== true)
      throw new EngineError('input.missing-file', `There is no script ${script}.`);
    steps.push({ options: { run: script }, cwd: dirname(script) });
  }
  for (const { options } of steps) {
    const problem = customizeProblems(options)[0];
    if (problem !== undefined) throw new EngineError('input.invalid', problem);
    if (options['ssh-inject'] === '' || options['ssh-inject'] === null) {
      throw new EngineError('input.invalid', 'A template has no environment whose key ssh-inject could take.', {
        hint: 'Say which: USER:file:KEY.pub.',
      });
    }
  }
  return steps;
}

async function readSteps(path: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new EngineError('input.missing-file', `The steps ${path} cannot be read.`, { cause: error });
  }
  let value: unknown;
  try {
    value = parseYaml(text, { version: '1.1', maxAliasCount: 100 });
  } catch (error) {
    throw new EngineError('input.invalid', `${path} is neither JSON nor YAML: ${(error as Error).message}`, { cause: error });
  }
  const parsed = Steps.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new EngineError('input.invalid', `${path} is not a list of steps.`, {
    hint: 'Write them as under "build" in an init file: - virt-customize: {install: vim}',
  });
}

interface Preparation {
  readonly customizations: readonly Customization[];
  readonly sysprep: boolean;
  readonly build: string;
}

/** The source itself if it can be used as it is, else a changed copy. */
async function prepare(
  { settings }: RecipeContext,
  source: Source,
  { customizations, sysprep, build }: Preparation,
  step: Step,
): Promise<{ readonly path: string; readonly format: 'qcow2' }> {
  const { path, format, what } = source;
  const unchanged = customizations.length === 0 && !sysprep;
  if (unchanged && format === 'qcow2') return { path, format };
  const copy = join(build, '.work.qcow2');
  await step.step(`Copy ${what}`, async (one) => {
    const request = { from: path, fromFormat: format, to: copy, toFormat: 'qcow2' } as const;
    await requireSpace(build, await measureConversion(request, { signal: one.signal }), `A copy of ${what}`);
    await convertImage(request, { signal: one.signal, onFraction: (fraction) => one.progress(fraction, 'copying') });
  });
  if (unchanged) return { path: copy, format: 'qcow2' };
  const accelerator = await findAccelerator(settings.accelerator, { signal: step.signal });
  const appliance = (one: Step): ApplianceOptions => ({
    accelerator,
    scratch: join(build, '.scratch'),
    log: one.log,
    signal: one.signal,
    onDetail: (detail) => one.progress(0, detail),
  });
  for (const [index, { options, cwd }] of customizations.entries()) {
    await step.step(`virt-customize (${index + 1} of ${customizations.length})`, async (one) => {
      const network = settings.uplink !== 'none';
      const request = { vm: what, name: 'image', disk: copy, format: 'qcow2', options, publicKey: '', cwd, network, secrets: [] };
      await customize(request, appliance(one));
    });
  }
  if (sysprep) await step.step('virt-sysprep', async (one) => await generalize({ path: copy, format: 'qcow2', what }, appliance(one)));
  return { path: copy, format: 'qcow2' };
}
