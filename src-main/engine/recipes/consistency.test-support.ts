import { existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { backingOf, chainOf } from '../libvirt/disk-files.fake.ts';
import { diskFilesOf } from '../libvirt/hypervisor-devices.fake.ts';
import { expandPrefixPath } from '../prefix/layout.ts';
import { domainName, type Prefix, readPrefix } from '../prefix/prefix.ts';
import type { SnapshotRecord } from '../prefix/record.ts';
import { snapshotStates } from '../runtime/observed/snapshot-states.ts';
import { OLD_SNAPSHOT, type WorldHost } from './world.test-support.ts';

/**
 * What is wrong between a prefix's files and its host: partial snapshots, VMs left paused or needlessly defined, files that nobody needs or
 * that are missing, and what the taking of a snapshot leaves in QEMU or beside it.
 */
export async function inconsistencies(root: string, host: WorldHost): Promise<readonly string[]> {
  const prefix = await readPrefix(root);
  const snapshots = (prefix.record?.snapshots ?? []).filter(({ name }) => name !== OLD_SNAPSHOT);
  const names = snapshots.map(({ name }) => name).sort();
  const folders = (await readdir(prefix.paths.snapshots).catch((): string[] => [])).sort();
  const wrong = wrongDomains(prefix, host, snapshots);
  if (folders.join() !== names.join()) wrong.push(`files of ${folders.join()} instead of ${names.join()}`);
  for (const vm of prefix.specs.vms) {
    const listed = Object.keys(vm.snapshots).sort().join();
    if (listed !== names.join()) wrong.push(`${vm.name} lists ${listed}`);
  }
  for (const snapshot of snapshots.filter(({ kind }) => kind === 'layers')) wrong.push(...missingParts(prefix, snapshot));
  wrong.push(...(await wrongFiles(prefix)));
  const changed = (await snapshotStates(prefix)).filter((snapshot) => snapshot.changed !== undefined);
  wrong.push(...changed.map(({ name }) => `files of ${name} seem to be changed by another program`));
  wrong.push(...host.monitor.capabilities().map((capability) => `${capability} is still on`));
  wrong.push(...(await readdir(join(prefix.paths.host, 's')).catch(() => [])).map((name) => `socket ${name}`));
  return wrong;
}

function wrongDomains({ uuid, specs, paths }: Prefix, host: WorldHost, snapshots: readonly SnapshotRecord[]): string[] {
  const wrong: string[] = [];
  for (const domain of host.model.describe().domains) {
    if (domain.state === 'paused' || domain.state === 'shut off') wrong.push(`${domain.name} is ${domain.state}`);
    if (!domain.persistent) wrong.push(`${domain.name} is not defined`);
    const vm = specs.vms.find((candidate) => domainName(uuid, candidate.name) === domain.name);
    const wanted = snapshots.filter(({ kind, vms }) => kind === 'internal' && vms[vm?.name ?? ''] !== undefined).map(({ name }) => name);
    const there = domain.snapshots.map((snapshot) => snapshot.name);
    if (wanted.join() !== there.join()) wrong.push(`${domain.name} has ${there.join()} instead of ${wanted.join()}`);
    for (const [dev, file] of diskFilesOf(host.model.domainXml(domain.name, false))) {
      const named = vm?.disks.find((disk) => disk.dev === dev)?.path ?? '';
      if (expandPrefixPath(named, paths.root) !== file) wrong.push(`${domain.name} writes to ${file} instead of ${named}`);
    }
  }
  return wrong;
}

function missingParts({ paths }: Prefix, { name, vms }: SnapshotRecord): readonly string[] {
  const wanted = Object.entries(vms).flatMap(([vm, kind]) => [
    `${vm}.json`,
    ...(kind === 'memory' ? [`${vm}.memory`, `${vm}.domain.xml`] : []),
  ]);
  return wanted
    .map((file) => join(paths.snapshots, name, file))
    .filter((path) => !existsSync(path))
    .map((path) => `${path} is missing`);
}

/** Each chain is whole, and a file that nobody names has several layers on it, or is shared with another environment. */
async function wrongFiles({ paths, specs }: Prefix): Promise<readonly string[]> {
  const named = new Set(specs.vms.flatMap(namedFiles).map((path) => expandPrefixPath(path, paths.root)));
  const all: string[] = [];
  for (const folder of [paths.images, paths.addedImages].filter((one) => existsSync(one))) {
    const entries = await readdir(folder, { withFileTypes: true });
    all.push(...entries.filter((entry) => entry.isFile()).map(({ name }) => join(folder, name)));
  }
  const above = new Map<string, number>();
  for (const path of all) {
    const below = backingOf(path);
    if (below !== undefined) above.set(below, (above.get(below) ?? 0) + 1);
  }
  const broken = [...named].filter((path) => {
    try {
      return chainOf(path).length === 0;
    } catch {
      return true;
    }
  });
  const isNeedless = (path: string): boolean => {
    const layers = above.get(path) ?? 0;
    return !named.has(path) && (layers === 0 || (layers === 1 && statSync(path).nlink === 1));
  };
  const needless = all.filter(isNeedless);
  return [...broken.map((path) => `${path} cannot be opened`), ...needless.map((path) => `${path} is not needed`)];
}

function namedFiles(vm: VmSpec): readonly string[] {
  const kept = Object.values(vm.snapshots).flat() as readonly { readonly path?: string }[];
  return [...vm.disks, ...kept].flatMap(({ path }) => (path === undefined || path === '' ? [] : [path]));
}
