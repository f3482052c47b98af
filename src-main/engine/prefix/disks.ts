import { mkdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { EngineError } from '../../../src-shared/errors.ts';
import type { DiskSpec, EnvironmentSpecs, VmSpec } from '../../../src-shared/specs.ts';
import { writeFileAtomic } from '../core/json-file.ts';
import type { Step } from '../core/operation.ts';
import { runChecked } from '../core/run.ts';
import { type NocloudSeed, nocloudSeed } from '../disk/cloud-init.ts';
import { createEmptyDisk, createOverlay, type ImageFormat, inspectImage } from '../disk/qemu-img.ts';
import type { StoredTemplate } from '../disk/store.ts';
import { readPrefixKey } from '../guest/keys.ts';
import { expandPrefixPath, type PrefixPaths } from './layout.ts';
import type { PlannedEnvironment } from './plan.ts';
import type { DiskJob } from './plan-disks.ts';
import type { Templates } from './templates.ts';

/** Downloads share the line; images are made by the CPU and the disk. */
const FETCHES = 2;
const IMAGES = 4;

export interface DiskWork {
  readonly paths: PrefixPaths;
  readonly uuid: string;
  /** Absolute; relative paths in it begin at its folder. */
  readonly initFile: string;
  readonly environment: PlannedEnvironment;
  readonly templates: Templates;
}

/**
 * Fetches missing templates, then makes every disk of every VM below `images/`, and the seeds of VMs that are personalised by
 * cloud-init. Answers the specs with what was found out on the way. Files are undone with the prefix's folder.
 */
export async function createDisks(work: DiskWork, step: Step): Promise<EnvironmentSpecs> {
  const { environment, paths } = work;
  if (environment.ovas.length > 0) throw notYet('VMs of type ova');
  if (environment.builds.length > 0) throw notYet('The build section of disks');
  const sysprep = Object.entries(environment.plan.vms).find(([, vm]) => vm.bootstrap === 'virt-sysprep');
  if (sysprep !== undefined) throw notYet(`Bootstrapping by virt-sysprep (VM ${sysprep[0]})`);
  const stored = await fetchTemplates(work, step);
  await step.each(
    environment.specs.vms,
    IMAGES,
    (vm) => `Create disks for VM ${vm.name}`,
    async (vm, one) => {
      for (const job of environment.disks.filter((candidate) => candidate.vm === vm.name)) {
        await one.step(`Create disk ${job.disk}`, async (disk) => await createDisk(job, stored, paths, disk));
      }
    },
  );
  const vms = await step.each(
    environment.specs.vms,
    IMAGES,
    (vm) => `Bootstrapping ${vm.name}`,
    async (vm) => (environment.plan.vms[vm.name]?.bootstrap === 'cloud-init' ? await seed(vm, work) : vm),
  );
  return { vms, nets: environment.specs.nets };
}

function notYet(what: string): EngineError {
  return new EngineError('not-available', `${what} cannot be made yet.`, {
    hint: 'Use a template whose metadata says cloud-init, or give "bootstrap: none".',
  });
}

async function fetchTemplates(work: DiskWork, step: Step): Promise<ReadonlyMap<string, StoredTemplate>> {
  const needed = new Map(
    work.environment.disks.flatMap((job) => {
      const template = job.kind === 'template' ? job.template : job.kind === 'layer' ? job.parent?.template : undefined;
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
      stored.set(template.fullName, await work.templates.fetch(name, template.version, one));
      await work.templates.markUsed(template.fullName, work.paths.uuid, work.uuid);
    },
  );
  return stored;
}

async function createDisk(job: DiskJob, stored: ReadonlyMap<string, StoredTemplate>, paths: PrefixPaths, step: Step): Promise<void> {
  const path = expandPrefixPath(job.path, paths.root);
  const { signal } = step;
  switch (job.kind) {
    case 'template': {
      const template = stored.get(job.template.fullName);
      if (template === undefined) throw new EngineError('internal', `Template ${job.template.fullName} was not fetched.`);
      await createOverlay({ path, backing: template.path, backingFormat: template.format }, { signal });
      break;
    }
    case 'layer':
      if (job.parent !== undefined) throw notYet(`Disk ${job.disk} of ${job.vm}: images with a parent template`);
      await createOverlay({ path, backing: job.image, backingFormat: await backingFormat(job.image, job.imageFormat, signal) }, { signal });
      break;
    case 'empty':
      await createEmptyDisk({ path, format: imageFormat(job.format, job.disk), size: job.size }, { signal });
      break;
    case 'copy':
      await mkdir(dirname(path), { recursive: true });
      await runChecked(['cp', '--sparse=always', '--', job.from, path], `The disk ${job.disk} could not be copied from ${job.from}.`, { signal });
      break;
    case 'in-place':
      break;
    case 'download':
      throw notYet(`Disk ${job.disk} of ${job.vm}: downloads by url`);
  }
  step.progress(1, basename(path));
}

function imageFormat(format: string, disk: string): ImageFormat {
  if (format === 'qcow2' || format === 'raw') return format;
  throw new EngineError('input.invalid', `Disk ${disk} cannot be made as ${format}.`, { hint: 'Use qcow2 or raw.' });
}

async function backingFormat(path: string, known: string | undefined, signal: AbortSignal): Promise<ImageFormat> {
  return imageFormat(known ?? (await inspectImage(path, { signal })).format, path);
}

/** Puts name, key and password on a NoCloud disk that the guest reads at its first boot. */
async function seed(vm: VmSpec, work: DiskWork): Promise<VmSpec> {
  const { paths, uuid } = work;
  const key = await readPrefixKey(paths.root);
  const password = vm['root-password'] ?? vm['ssh-password'];
  const own = await ownCloudConfig(vm, dirname(work.initFile));
  const image = nocloudSeed({
    hostname: vm.name,
    instanceId: `${uuid}-${vm.name}`,
    publicKey: key.publicKey,
    ...(password === undefined ? {} : { rootPassword: String(password) }),
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

const OwnCloudInit = z.looseObject({
  'user-data': z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  'meta-data': z.record(z.string(), z.unknown()).optional(),
  'network-config': z.record(z.string(), z.unknown()).optional(),
});

/** What the init file says itself under `cloud-init`: a mapping, the text of a cloud-config, or `{path: FILE}`. */
async function ownCloudConfig(vm: VmSpec, initFileDir: string): Promise<Partial<NocloudSeed>> {
  const own = OwnCloudInit.parse(vm['cloud-init'] ?? {});
  let userData: unknown = own['user-data'];
  if (typeof userData === 'object' && userData !== null && 'path' in userData && typeof userData.path === 'string') {
    const path = resolve(initFileDir, userData.path);
    userData = await readFile(path, 'utf8').catch((error: unknown) => {
      throw new EngineError('input.missing-file', `The user-data of ${vm.name} cannot be read: ${path}.`, { cause: error });
    });
  }
  if (typeof userData === 'string') userData = parseYaml(userData);
  const config = z.record(z.string(), z.unknown()).optional().safeParse(userData);
  if (!config.success) {
    throw new EngineError('input.invalid', `The user-data of ${vm.name} is not a cloud-config mapping.`, { hint: 'Write it as "key: value" lines.' });
  }
  return {
    ...(config.data === undefined ? {} : { userData: config.data }),
    ...(own['meta-data'] === undefined ? {} : { metaData: own['meta-data'] }),
    ...(own['network-config'] === undefined ? {} : { networkConfig: own['network-config'] }),
  };
}

/** The next device after those of the file, on the virtio bus, which every template that knows cloud-init can read. */
function freeDevice(vm: VmSpec): string {
  const used = new Set(vm.disks.map((disk) => disk.dev));
  for (const letter of 'bcdefghijklmnopqrstuvwxyz') if (!used.has(`vd${letter}`)) return `vd${letter}`;
  throw new EngineError('input.invalid', `VM ${vm.name} has no device left for its cloud-init disk.`);
}
