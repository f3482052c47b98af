import { copyFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { chooseSparsify } from '../appliance/sparsify.ts';
import { diskError, writeFileAtomic } from '../core/files/json-file.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import { requireSpace, type SpaceOptions } from '../disk/free-space.ts';
import { requireXz } from '../disk/pack.ts';
import { findAccelerator } from '../host/kvm.ts';
import { expandPrefixPath } from '../prefix/layout.ts';
import { type Prefix, readPrefix, requireDisksHere } from '../prefix/prefix.ts';
import { openForChange } from '../recipes/recover.ts';
import { activeVms } from '../runtime/bring-down.ts';
import { type RecipeContext, requireReady } from '../runtime/recipe.ts';
import { type ImageSource, lookAtImage, writeImage } from './export-images.ts';
import { type ExportedFile, type ExportPlan, exportedDefinition, planExport, userDataPath } from './export-plan.ts';
import type { ExportRequest, ExportResult } from './export-request.ts';
import { chooseTarget, openTarget, publishTarget } from './export-target.ts';

/** Writing an image uses the disk, reading it again the CPU. */
const IMAGES = 2;

/** VM → absolute paths of the disks that an export of these VMs would read. Takes no lock, creates nothing. `vm.missing`. */
export async function collectDisks(root: string, vms: readonly string[]): Promise<Record<string, readonly string[]>> {
  const prefix = await readPrefix(root);
  requireReady(prefix);
  requireDisksHere(prefix, 'Export');
  const plan = planExport(prefix.specs, vms, root);
  return Object.fromEntries(plan.vms.map((vm) => [vm.name, vm.disks.map((disk) => expandPrefixPath(disk.path, root))]));
}

/**
 * Exports the disks of VMs that are off, each with `.hash` and `.metadata`, and an init file that recreates the environment wherever the
 * folder is. Everything is checked first; the files appear in the folder together at the end, and a failure or cancel leaves nothing.
 * `vm.missing`, `conflict.locked` (a VM is on), `input.invalid` (too many layers, conflicting files), `host.no-space`, `host.missing-tool`,
 * `host.denied`.
 */
export async function exportEnvironment(
  context: RecipeContext,
  root: string,
  request: ExportRequest,
  step: Step,
  space: SpaceOptions = {},
): Promise<ExportResult> {
  const { compress } = request;
  const initFileName = request.initFileName ?? context.settings.exportInitFileName ?? 'LagoInitFile';
  if (!/^[^/\0]+$/.test(initFileName) || initFileName === '.' || initFileName === '..') {
    throw new EngineError('input.invalid', `${JSON.stringify(initFileName)} cannot be the name of an init file.`, {
      hint: 'Give a file name without a folder.',
    });
  }
  await using opened = await openForChange(context, root, 'export', step);
  const { prefix } = opened;
  requireReady(prefix);
  requireDisksHere(prefix, 'Export');
  const plan = planExport(prefix.specs, request.vms ?? [], root);
  for (const note of plan.notes) step.log.warn(note);
  await requireOff(context, prefix, plan.vms, step.signal);
  const folder = resolve(request.destination);
  if (`${folder}/`.startsWith(`${root}/`)) {
    throw new EngineError('input.invalid', `${folder} is inside the environment that is exported.`, {
      hint: 'Choose a folder outside of it.',
    });
  }
  const userData = await userDataFiles(prefix, plan, step);
  const names = [
    ...plan.files.flatMap((file) => fileNames(file.name, compress)),
    ...[...userData].map(([vm]) => `${vm}.user-data`),
    initFileName,
  ];
  if (new Set(names).size !== names.length) {
    throw new EngineError('input.invalid', `${initFileName} is also the name of an exported disk.`, {
      hint: 'Give the init file another name.',
    });
  }
  const target = await chooseTarget(folder, names, `lago-export-${prefix.uuid}`);
  if (compress) await requireXz(step.signal);
  const images = await step.step('Look at disks', async (look) => await lookAtAll(plan.files, request.standalone, look));
  const sparsify = await sparsifier(context, step);
  return await step.step(
    `Exporting to: ${folder}`,
    async (whole) => {
      await using undo = new UndoStack(whole.log);
      await openTarget(target, undo);
      await requireSpace(target.build, spaceNeeded(images, compress), `The export of ${prefix.name}`, space);
      const written = await whole.each(
        plan.files,
        IMAGES,
        (file) => `Export disk ${file.what}`,
        async (file, one) => {
          const image = images.get(file.source);
          if (image === undefined) throw new EngineError('internal', `The disk ${file.what} was not looked at.`);
          return await writeImage(
            image,
            {
              folder: target.build,
              name: file.name,
              compress,
              metadata: metadataOf(file),
              sparsify: sparsify?.(join(target.build, `.${file.name}.sparsify`), one),
            },
            one,
          );
        },
      );
      await whole.step(`Exporting init file to: ${join(folder, initFileName)}`, async () => {
        for (const [vm, path] of userData) await copyFile(path, join(target.build, `${vm}.user-data`));
        const definition = exportedDefinition(prefix.specs, plan, {
          root,
          userData: new Map([...userData.keys()].map((vm) => [vm, `${vm}.user-data`])),
        });
        await writeFileAtomic(join(target.build, initFileName), initFileText(definition, request.format ?? 'yaml'));
      });
      whole.checkpoint();
      await publishTarget(
        target,
        [...written.flatMap(({ files }) => files), ...[...userData.keys()].map((vm) => `${vm}.user-data`), initFileName],
        undo,
      );
      undo.commit();
      return {
        folder,
        initFile: join(folder, initFileName),
        vms: plan.vms.map((vm) => vm.name),
        bytes: written.reduce((sum, { size }) => sum + size, 0),
      };
    },
    { weight: 9 },
  );
}

/** `conflict.locked`, naming those of these VMs that are on. */
export async function requireOff(context: RecipeContext, prefix: Prefix, vms: readonly VmSpec[], signal: AbortSignal): Promise<void> {
  const session = await context.hosts.find(prefix, signal);
  if (session === undefined) return;
  const active = new Set((await activeVms(session, prefix, signal)).map((vm) => vm.name));
  const on = vms.filter((vm) => active.has(vm.name)).map((vm) => vm.name);
  if (on.length === 0) return;
  throw new EngineError('conflict.locked', `The following vms must be off:\n${on.join('\n')}`, {
    hint: 'Shut them down or stop them first.',
  });
}

async function lookAtAll(files: readonly ExportedFile[], standalone: boolean, step: Step): Promise<ReadonlyMap<string, ImageSource>> {
  const images = new Map<string, ImageSource>();
  for (const { source, what, disk } of files) {
    step.checkpoint();
    images.set(source, await lookAtImage({ source, what, format: disk.format, layered: !standalone && disk.type === 'template' }, step));
  }
  return images;
}

/** Files written for a disk. */
function fileNames(name: string, compress: boolean): readonly string[] {
  return [compress ? `${name}.xz` : name, `${name}.hash`, `${name}.metadata`];
}

/** While an image is compressed, both forms take space. */
function spaceNeeded(images: ReadonlyMap<string, ImageSource>, compress: boolean): number {
  const sizes = [...images.values()].map(({ size }) => size).sort((a, b) => b - a);
  const twice = compress ? sizes.slice(0, IMAGES).reduce((sum, size) => sum + size, 0) : 0;
  return sizes.reduce((sum, size) => sum + size, twice);
}

function metadataOf(file: ExportedFile): Readonly<Record<string, unknown>> {
  const { sha1: _old, size: _size, ...metadata } = file.disk.metadata;
  const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  return { ...metadata, name: file.name.replace(/\.[^.]+$/, ''), version: `${day}.0` };
}

type Sparsifier = (scratch: string, step: Step) => NonNullable<Parameters<typeof writeImage>[1]['sparsify']>;

async function sparsifier({ settings }: RecipeContext, step: Step): Promise<Sparsifier | undefined> {
  const { signal } = step;
  const mode = settings.exportSparsify ?? 'auto';
  const accelerator = mode === 'never' ? 'tcg' : await findAccelerator(settings.accelerator, { signal });
  const { use, why } = await chooseSparsify(mode, accelerator, signal);
  if (!use) {
    step.log.info(`Free space inside the file systems is not trimmed (${why}); zeros take no space.`);
    return undefined;
  }
  return (scratch, one) => ({
    required: mode === 'always',
    options: { accelerator, scratch, log: one.log, signal: one.signal, onDetail: (detail) => one.progress(0, detail) },
  });
}

/** VM → absolute path of the `user-data` file named in its init file. A missing one is reported and left out. */
async function userDataFiles(prefix: Prefix, plan: ExportPlan, step: Step): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const vm of plan.vms) {
    const path = userDataPath(vm);
    if (path === undefined) continue;
    const absolute = resolve(dirname(prefix.record?.initFile ?? '/'), path);
    if (await isFile(absolute)) found.set(vm.name, absolute);
    else step.log.warn(`The user-data of ${vm.name} is not at ${absolute} any more: put it there before the exported init file is used.`);
  }
  return found;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw diskError(error, path);
  }
}

/** YAML for Lago's parser (1.1), or JSON. */
function initFileText(definition: Readonly<Record<string, unknown>>, format: 'yaml' | 'json'): string {
  if (format === 'json') return `${JSON.stringify(definition, null, 4)}\n`;
  return stringify(definition, { version: '1.1', aliasDuplicateObjects: false, lineWidth: 0 });
}
