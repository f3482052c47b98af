import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { VmSpec } from '../../../../src-shared/specs.ts';
import { diskError, readJson, writeFileAtomic, writeJson } from '../../core/files/json-file.ts';
import type { Step } from '../../core/operation.ts';
import { UndoStack } from '../../core/undo.ts';
import { requireSpace, type SpaceOptions } from '../../disk/free-space.ts';
import { readBackingNames } from '../../disk/qcow2-header.ts';
import { setBacking } from '../../disk/qemu-img.ts';
import { targetOf } from '../../libvirt/xml/domain-xml.ts';
import { movedDomainXml } from '../../libvirt/xml/moved-domain.ts';
import { beginWork } from '../../prefix/journal.ts';
import { type PrefixPaths, prefixPaths } from '../../prefix/layout.ts';
import { domainName, type Prefix, writeSpecs } from '../../prefix/prefix.ts';
import type { SnapshotRecord } from '../../prefix/record.ts';
import { stableUuid } from '../../runtime/realize.ts';
import { type RecipeContext, requireReady } from '../../runtime/recipe.ts';
import { keptDomain, keptMemory, keptOrigin } from '../../snapshot/memory/kept-memory.ts';
import { findSnapshot, keptDefinition, keptHostKeys, recordOf } from '../../snapshot/snapshot-parts.ts';
import { PREFIX_FILES } from '../fork/copy.ts';
import { openForChange } from '../recover.ts';
import { copyFileTo } from './copy-file.ts';
import { neededMachine } from './machine.ts';
import { type FileMark, type Manifest, markFile, writeManifest } from './manifest.ts';
import { allocatedBytes, type PlannedImages, type PortableImage, planImages } from './plan-images.ts';
import type { SnapshotExportRequest, SnapshotExportResult } from './portable-request.ts';
import { buildFolder } from './unfinished-export.ts';

const PRIVATE = 0o600;
const PUBLIC = 0o644;
/** Copying is limited by the disk. */
const PARALLEL = 2;

/**
 * Writes a snapshot to a folder with all that is needed to go on from it elsewhere: disks with everything below them, memory, definitions,
 * keys and scripts. The folder appears as a whole, with the last step; the environment may run meanwhile. `snapshot.missing`,
 * `snapshot.unsupported` for one of an older kind, `not-available` where environments share a host, `input.invalid` for a folder that is
 * not empty, `host.no-space`.
 */
export async function exportSnapshot(
  context: RecipeContext,
  root: string,
  request: SnapshotExportRequest,
  step: Step,
  space: SpaceOptions = {},
): Promise<SnapshotExportResult> {
  const folder = resolve(request.destination);
  await using opened = await openForChange(context, root, 'export', step);
  const { prefix } = opened;
  const snapshot = requirePortable(prefix, request.snapshot);
  await requireFreeFolder(prefix, folder);
  const { vms } = prefix.specs;
  const planned = await planImages(prefix, snapshot.name, vms);
  const memory = withMemory(prefix, snapshot).map((vm) => keptMemory(prefix, snapshot.name, vm.name));
  const build = buildFolder(prefix, folder);
  await using undo = new UndoStack(step.log);
  const journal = await beginWork(
    prefix,
    { kind: 'export', name: snapshot.name, step: 'writing', vms: [], running: [], hostWasUp: true, folder: build },
    { log: step.log },
  );
  undo.add('forget the export', async () => await journal.settle());
  const paths = await openBuild(build, undo);
  const sizes = await Promise.all(memory.map(async (path) => await allocatedBytes(path, `The snapshot "${snapshot.name}"`)));
  const bytes = [...planned.images.map((image) => image.bytes), ...sizes].reduce((sum, one) => sum + one, 0);
  await requireSpace(build, bytes, `The export of snapshot "${snapshot.name}"`, space);
  await step.step('Write definitions', async () => await writeDefinitions(prefix, snapshot, planned, paths));
  const copies = [
    ...planned.images.map((image) => ({ label: image.name, copy: async (one: Step) => await copyImageTo(image, paths, one) })),
    ...memory.map((path) => ({
      label: basename(path),
      copy: async (one: Step) => await copyFileTo(path, join(paths.snapshots, snapshot.name, basename(path)), PRIVATE, one),
    })),
  ];
  await step.step(
    'Copy disks and memory',
    async (all) =>
      await all.each(
        copies,
        PARALLEL,
        ({ label }) => `Copy ${label}`,
        async ({ copy }, one) => await copy(one),
      ),
    { weight: 8 },
  );
  await step.step('Write manifest', async (one) => await writeManifest(build, await describe(prefix, snapshot, build, one.signal)));
  step.checkpoint();
  await rename(build, folder).catch((error: unknown) => {
    throw diskError(error, folder);
  });
  undo.commit();
  await journal.settle();
  return { folder, snapshot: snapshot.name, vms: vms.map(({ name }) => name), bytes };
}

function requirePortable(prefix: Prefix, name: string): SnapshotRecord {
  requireReady(prefix);
  const snapshot = findSnapshot(prefix, name);
  if (recordOf(prefix).host.kind !== 'embedded') {
    throw new EngineError(
      'not-available',
      `Snapshots of ${prefix.name} cannot be exported: its VMs are on a host that it shares with others.`,
      {
        hint: 'Only an environment on its own host (embedded, the default) can go on elsewhere with the same addresses.',
      },
    );
  }
  if (snapshot.kind !== 'layers') {
    throw new EngineError('snapshot.unsupported', `The snapshot "${name}" cannot be exported: it is inside the disks' files.`, {
      hint: 'Delete the snapshots that the environment has from an older version; those that are taken afterwards can be exported.',
    });
  }
  const without = prefix.specs.vms.find((vm) => snapshot.vms[vm.name] === undefined);
  if (without === undefined) return snapshot;
  throw new EngineError('snapshot.unsupported', `The snapshot "${name}" cannot be exported: it has nothing of VM ${without.name}.`);
}

async function requireFreeFolder({ paths }: Prefix, folder: string): Promise<void> {
  if (`${folder}/`.startsWith(`${paths.root}/`)) {
    throw new EngineError('input.invalid', `${folder} is inside the environment that is exported.`, {
      hint: 'Choose a folder outside of it.',
    });
  }
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR') throw new EngineError('input.invalid', `${folder} is not a folder.`, { cause: error });
    throw diskError(error, folder);
  });
  if (names.length === 0) return;
  throw new EngineError('input.invalid', `${folder} is not empty, and an exported snapshot is a folder of its own.`, {
    hint: 'Choose a folder that is not there yet (--dst-dir).',
  });
}

async function openBuild(build: string, undo: UndoStack): Promise<PrefixPaths> {
  const paths = prefixPaths(build);
  try {
    const first = await mkdir(dirname(build), { recursive: true });
    if (first !== undefined) undo.add(`remove ${first}`, async () => await rm(first, { recursive: true, force: true }));
    undo.add(`remove ${build}`, async () => await rm(build, { recursive: true, force: true }));
    // Whoever began it held the lock that we hold now.
    await rm(build, { recursive: true, force: true });
    // Memory and keys are in it.
    await mkdir(build, { mode: 0o700 });
    for (const path of [paths.virt, paths.images, paths.snapshots, paths.scripts]) await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const known = diskError(error, dirname(build));
    if (known instanceof EngineError) throw known;
    const { code } = error as NodeJS.ErrnoException;
    throw new EngineError('input.invalid', `No folder can be made in ${dirname(build)} (${code ?? String(error)}).`, {
      cause: error,
      hint: 'Choose another place for the exported snapshot (--dst-dir).',
    });
  }
  return paths;
}

/** Everything but images and memory. */
async function writeDefinitions(prefix: Prefix, snapshot: SnapshotRecord, planned: PlannedImages, paths: PrefixPaths): Promise<void> {
  const { name } = snapshot;
  const there: Prefix = { ...prefix, paths };
  await mkdir(join(paths.snapshots, name), { mode: 0o700 });
  for (const vm of prefix.specs.vms) {
    const disks = [...(planned.disks.get(vm.name) ?? [])];
    const then = await readJson(keptDefinition(prefix, name, vm), VmSpec);
    if (then === undefined) throw new EngineError('snapshot.missing', `The snapshot "${name}" has lost its definition of VM ${vm.name}.`);
    await writeJson(keptDefinition(there, name, vm), { ...then, disks, snapshots: {} }, PRIVATE);
    if (snapshot.vms[vm.name] === 'memory') {
      await writeFileAtomic(keptDomain(there, name, vm.name), await portableDomain(prefix, name, { ...then, disks }), PRIVATE);
    }
  }
  await writeSpecs(paths, {
    nets: prefix.specs.nets,
    vms: prefix.specs.vms.map((vm) => {
      const disks = [...(planned.disks.get(vm.name) ?? [])];
      return { ...vm, disks, snapshots: { [name]: disks } };
    }),
  });
  const folder = join(prefix.paths.snapshots, name);
  const kept = [keptHostKeys(prefix, name), join(folder, 'origin.json')].map((path) => relative(prefix.paths.root, path));
  for (const file of [...PREFIX_FILES, ...kept]) {
    if (existsSync(join(prefix.paths.root, file))) await copyFile(join(prefix.paths.root, file), join(paths.root, file));
  }
  if (existsSync(prefix.paths.scripts)) await cp(prefix.paths.scripts, paths.scripts, { recursive: true, dereference: true });
}

/** libvirt's description of a VM whose disks are all in the folder of images, of the prefix that the snapshot was taken in. */
async function portableDomain(prefix: Prefix, snapshot: string, then: VmSpec): Promise<string> {
  const origin = await keptOrigin(prefix, snapshot);
  const files = then.disks.map(({ path }, index) => [targetOf(then, index), path.replace('$LAGO_PREFIX_PATH', origin.root)] as const);
  return movedDomainXml(await readFile(keptDomain(prefix, snapshot, then.name), 'utf8'), {
    name: domainName(origin.uuid, then.name),
    uuid: stableUuid(origin.uuid, then.name),
    disks: new Map(files.filter(([, path]) => path !== '')),
    instead: [],
  });
}

async function copyImageTo({ source, name, below }: PortableImage, paths: PrefixPaths, step: Step): Promise<void> {
  const path = join(paths.images, name);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await copyFileTo(source, path, PUBLIC, step);
  if (below === undefined) return;
  const [written, beside] = [await readBackingNames(path), relative(dirname(path), join(paths.images, below.name))];
  if (written?.file === beside && written.format === below.format) return;
  await setBacking({ path, backing: `./${beside}`, backingFormat: below.format }, { signal: step.signal });
}

async function describe(prefix: Prefix, snapshot: SnapshotRecord, build: string, signal: AbortSignal): Promise<Manifest> {
  const entries = await readdir(build, { recursive: true, withFileTypes: true });
  const files: Record<string, FileMark> = {};
  for (const entry of entries.filter((one) => one.isFile())) {
    signal.throwIfAborted();
    const path = join(entry.parentPath, entry.name);
    files[relative(build, path)] = await markFile(path);
  }
  const descriptions = await Promise.all(
    withMemory(prefix, snapshot).map(async (vm) => await readFile(keptDomain(prefix, snapshot.name, vm.name), 'utf8')),
  );
  const { snapshotKeep } = recordOf(prefix);
  return {
    version: 1,
    exportedAt: Date.now(),
    environment: { name: prefix.name, uuid: prefix.uuid },
    snapshot: { ...snapshot, parent: null },
    ...(snapshotKeep === undefined ? {} : { snapshotKeep }),
    machine: await neededMachine(descriptions, signal),
    files,
  };
}

function withMemory({ specs }: Prefix, snapshot: SnapshotRecord): readonly VmSpec[] {
  return specs.vms.filter((vm) => snapshot.vms[vm.name] === 'memory');
}
