import { mkdir } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { DiskSpec, EnvironmentSpecs, VmSpec } from '../../../src-shared/specs.ts';
import { writeFileAtomic } from '../core/files/json-file.ts';
import type { Step } from '../core/operation.ts';
import type { UndoStack } from '../core/undo.ts';
import { type Backing, type ChainRequest, copyImage, resolveBelow, resolveChain } from '../disk/backing-chain.ts';
import { createEmptyDisk, createOverlay, type ImageFormat, setBacking } from '../disk/qemu-img.ts';
import { unpackImage } from '../disk/unpack.ts';
import { readPrefixKey } from '../guest/keys.ts';
import { distroOf } from '../plan/distro.ts';
import type { PlannedEnvironment } from '../plan/plan.ts';
import type { DiskJob } from '../plan/plan-disks.ts';
import { readInitFile } from '../plan/read-init-file.ts';
import { type OwnCloudConfig, ownCloudConfig } from '../plan/user-data.ts';
import { expandPrefixPath } from '../prefix/layout.ts';
import { clientScript } from '../repos/serve/client-script.ts';
import { nocloudSeed } from '../seed/cloud-init.ts';
import type { StoredTemplate } from '../template/store.ts';
import { buildDisks, type GuestWork, seedNetwork, sysprepVm } from './bootstrap.ts';
import { fetchFiles } from './fetch-files.ts';
import { importOvas } from './import-ova.ts';
import { storePath, type Templates } from './templates.ts';

/** Downloads share the bandwidth; images use CPU and disk. */
const FETCHES = 2;
const IMAGES = 4;

export interface DiskWork extends GuestWork {
  readonly uuid: string;
  readonly environment: PlannedEnvironment;
  readonly templates: Templates;
  /** Where guests will find the environment's packages (`packagesUrl`); undefined if they cannot, or are not to be told. */
  readonly packagesUrl: string | undefined;
  /** Undoes changes outside of the prefix's folder. */
  readonly undo: UndoStack;
}

/**
 * Fetches missing templates, creates every disk of every VM below `images/`, and customizes them: with a cloud-init seed or virt-sysprep,
 * then with the file's builders. Returns the specs, completed with what was learned on the way. The files are removed with the prefix's
 * folder.
 */
export async function createDisks(work: DiskWork, step: Step): Promise<EnvironmentSpecs> {
  const { environment, paths } = work;
  const stored = await fetchTemplates(work, step);
  await fetchFiles(environment.disks, paths, await storePath(work.settings), work.undo, step);
  const imported = await importOvas(environment.specs.vms, environment.ovas, paths, step);
  const jobs = [...imported.jobs, ...environment.disks];
  await step.each(
    imported.vms,
    IMAGES,
    (vm) => `Create disks for VM ${vm.name}`,
    async (vm, one) => {
      for (const job of jobs.filter((candidate) => candidate.vm === vm.name)) {
        await one.step(`Create disk ${job.disk}`, async (disk) => await createDisk(job, stored, work, disk));
      }
    },
  );
  const vms = await step.each(
    imported.vms,
    IMAGES,
    (vm) => `Bootstrapping ${vm.name}`,
    async (vm, one) => await bootstrap(vm, work, one),
  );
  await buildDisks(vms, environment.builds, work, step);
  return { vms, nets: environment.specs.nets };
}

async function bootstrap(vm: VmSpec, work: DiskWork, step: Step): Promise<VmSpec> {
  const how = work.environment.plan.vms[vm.name]?.bootstrap;
  if (how === 'cloud-init') return await seed(vm, work);
  if (how === 'virt-sysprep') await sysprepVm(vm, work, step);
  return vm;
}

async function fetchTemplates(work: DiskWork, step: Step): Promise<ReadonlyMap<string, StoredTemplate>> {
  const needed = new Map(
    work.environment.disks.flatMap((job) => {
      const template = job.kind === 'template' ? job.template : 'parent' in job ? job.parent?.template : undefined;
      return template === undefined ? [] : [[template.fullName, template] as const];
    }),
  );
  const stored = new Map<string, StoredTemplate>();
  await step.each(
    [...needed.values()],
    FETCHES,
    (template) => (template.cached ? `Find template ${template.fullName}` : `Download template ${template.fullName}`),
    async (template, one) => {
      const name = template.fullName.split(':').slice(1, -1).join(':');
      const user = { uuidFile: work.paths.uuid, uuid: work.uuid };
      stored.set(template.fullName, await work.templates.fetch(name, template.version, user, one));
    },
  );
  return stored;
}

async function createDisk(job: DiskJob, stored: ReadonlyMap<string, StoredTemplate>, work: DiskWork, step: Step): Promise<void> {
  const path = expandPrefixPath(job.path, work.paths.root);
  const { signal } = step;
  switch (job.kind) {
    case 'template': {
      const template = storedTemplate(stored, job.template.fullName);
      await createOverlay({ path, backing: template.path, backingFormat: template.format }, { signal });
      break;
    }
    case 'layer': {
      const backing = await resolveChain(chainOf(job, job.image, stored, work), { signal, log: step.log, undo: work.undo });
      await createOverlay({ path, backing: backing.path, backingFormat: backing.format }, { signal });
      await keepInside(path, backing, work, signal);
      break;
    }
    case 'empty':
      await createEmptyDisk({ path, format: imageFormat(job.format, job.disk), size: job.size }, { signal });
      break;
    case 'copy':
      await copyDisk(job, path, stored, work, step);
      break;
    case 'download':
      // Already fetched; copied unless it stays where it was kept.
      if (job.keptAt !== undefined && job.keptAt !== path) await copyImage(job.keptAt, path, job.disk, signal);
      break;
    case 'unpack':
      await unpackDisk(job, path, stored, work, step);
      break;
    case 'in-place':
      break;
  }
  step.progress(1, basename(path));
}

/** A disk on a file of its own environment knows it by a relative path, so that a fork can have both by links. */
async function keepInside(path: string, { path: below, format }: Backing, { paths }: DiskWork, signal: AbortSignal): Promise<void> {
  if (!below.startsWith(`${paths.root}/`)) return;
  await setBacking({ path, backing: `./${relative(dirname(path), below)}`, backingFormat: format }, { signal });
}

/** A copy keeps the original's backing file, whose recorded path may be relative to the original. */
async function copyDisk(
  job: DiskJob & { readonly kind: 'copy' },
  path: string,
  stored: ReadonlyMap<string, StoredTemplate>,
  work: DiskWork,
  step: Step,
): Promise<void> {
  const { signal, log } = step;
  const below =
    job.format === 'qcow2' ? await resolveBelow(chainOf(job, job.from, stored, work), { signal, log, undo: work.undo }) : undefined;
  await copyImage(job.from, path, job.disk, signal);
  if (below !== undefined) await setBacking({ path, backing: below.path, backingFormat: below.format }, { signal });
}

/** An unpacked layer keeps its backing file, whose recorded path is relative to the export's folder. */
async function unpackDisk(
  job: DiskJob & { readonly kind: 'unpack' },
  path: string,
  stored: ReadonlyMap<string, StoredTemplate>,
  work: DiskWork,
  step: Step,
): Promise<void> {
  const { signal, log } = step;
  await unpackImage({ packed: job.packed, hashFile: `${job.image}.hash`, to: path, format: job.format }, step);
  if (job.format !== 'qcow2') return;
  const below = await resolveBelow({ ...chainOf(job, path, stored, work), origin: job.image }, { signal, log, undo: work.undo });
  if (below !== undefined) await setBacking({ path, backing: below.path, backingFormat: below.format }, { signal });
}

function chainOf(job: DiskJob, image: string, stored: ReadonlyMap<string, StoredTemplate>, { paths }: DiskWork): ChainRequest {
  const parent = 'parent' in job ? job.parent : undefined;
  return {
    image,
    disk: job.disk,
    missing: parent === undefined ? undefined : { path: parent.link, template: storedTemplate(stored, parent.template.fullName) },
    copies: join(paths.images, 'layers'),
    prefix: `${job.vm}_${job.disk}`,
  };
}

function storedTemplate(stored: ReadonlyMap<string, StoredTemplate>, fullName: string): StoredTemplate {
  const template = stored.get(fullName);
  if (template === undefined) throw new EngineError('internal', `Template ${fullName} was not fetched.`);
  return template;
}

function imageFormat(format: string, disk: string): ImageFormat {
  if (format === 'qcow2' || format === 'raw') return format;
  throw new EngineError('input.invalid', `Disk ${disk} cannot be made as ${format}.`, { hint: 'Use qcow2 or raw.' });
}

/** Writes name, key and password to a NoCloud disk that the guest reads at its first boot. */
async function seed(vm: VmSpec, work: DiskWork): Promise<VmSpec> {
  const { paths, uuid } = work;
  const key = await readPrefixKey(paths.root);
  const password = vm['root-password'] ?? vm['ssh-password'];
  const own = await readOwnCloudConfig(vm, work);
  const networkConfig = seedNetwork(vm);
  const tellOfPackages = clientScriptOf(vm, work);
  const image = nocloudSeed({
    hostname: vm.name,
    instanceId: `${uuid}-${vm.name}`,
    publicKey: key.publicKey,
    ...(password === undefined ? {} : { rootPassword: String(password) }),
    // `ssh-password` may be the default that everybody knows: with that one, root logs in on the console only.
    sshByPassword: vm['root-password'] !== undefined,
    ...(networkConfig === undefined ? {} : { networkConfig }),
    ...(tellOfPackages === undefined ? {} : { bootScripts: [tellOfPackages] }),
    ...own,
  });
  const file = `${vm.name}.iso`;
  await mkdir(paths.seeds, { recursive: true });
  await writeFileAtomic(join(paths.seeds, file), image, 0o600);
  const disk: DiskSpec = {
    type: 'file',
    name: 'cloud-init',
    dev: freeDevice(vm),
    format: 'raw',
    path: `$LAGO_PREFIX_PATH/cloud-init/${file}`,
    metadata: {},
    readonly: true,
  };
  return { ...vm, disks: [...vm.disks, disk] };
}

/** Tells a guest at its first boot where the environment's packages are, as a deploy does later (`recipes/repos/client.ts`). */
function clientScriptOf(vm: VmSpec, { environment, packagesUrl }: DiskWork): string | undefined {
  const distro = distroOf(vm);
  if (packagesUrl === undefined || distro === undefined) return undefined;
  return clientScript(packagesUrl, distro, { expected: environment.repos?.serve === true });
}

/** The init file's own cloud-config. Planning has already checked it, so only a file that has changed since is refused here. */
async function readOwnCloudConfig(vm: VmSpec, { environment, initFile }: DiskWork): Promise<OwnCloudConfig> {
  const path = environment.userDataFiles.get(vm.name);
  const config = ownCloudConfig(vm['cloud-init'], path === undefined ? undefined : await readInitFile(path));
  if (!('problem' in config)) return config;
  throw new EngineError('input.invalid', `The user-data of ${vm.name} in ${path ?? initFile} cannot be used: ${config.problem}.`, {
    hint: 'Write it as "key: value" lines.',
  });
}

/** The next free device after the file's own disks, on the virtio bus, which every template with cloud-init supports. */
function freeDevice(vm: VmSpec): string {
  const used = new Set(vm.disks.map((disk) => disk.dev));
  for (const letter of 'bcdefghijklmnopqrstuvwxyz') if (!used.has(`vd${letter}`)) return `vd${letter}`;
  throw new EngineError('input.invalid', `VM ${vm.name} has no device left for its cloud-init disk.`);
}
