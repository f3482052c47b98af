import { mkdir, readFile, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { PackageChange } from '../../../../src-shared/snapshot/changes.ts';
import { run } from '../../core/run.ts';
import type { FileTree, GuestFiles } from './guest-files.ts';
import { comparePackages, DPKG_STATUS, dpkgPackages, type Packages, rpmPackages } from './packages.ts';

/** Bytes; larger files of a guest are no list of packages. */
const MAX_DATABASE = 512 * 1024 * 1024;
const RPM_FOLDERS = ['/usr/lib/sysimage/rpm', '/var/lib/rpm'];
const RPM_FILES = new Set(['rpmdb.sqlite', 'Packages', 'Packages.db']);
const RPM_FORMAT = '%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE} %{ARCH}\\n';
const NONE: Packages = new Map();

/** Files of a VM at one point, with their listing. */
export interface ListedFiles {
  readonly files: GuestFiles;
  readonly tree: FileTree;
}

/** The packages that two points differ in, of dpkg or rpm, and what cannot be said. `scratch` is a folder that is there. */
export async function readPackageChanges(
  before: ListedFiles,
  after: ListedFiles,
  scratch: string,
  signal: AbortSignal,
): Promise<{ readonly packages: PackageChange[]; readonly notes: readonly string[] }> {
  const database = databaseOf(after.tree) ?? databaseOf(before.tree);
  if (database === undefined || isSame(before.tree, after.tree, database)) return { packages: [], notes: [] };
  try {
    const [old, now] = [
      await packagesOf(before, database, join(scratch, 'packages-before'), signal),
      await packagesOf(after, database, join(scratch, 'packages-after'), signal),
    ];
    return { packages: comparePackages(old, now), notes: [] };
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'host.missing-tool') throw error;
    return { packages: [], notes: ['The RPM packages are not compared: rpm is not installed on this machine.'] };
  }
}

/** The file that says what is installed. */
function databaseOf(tree: FileTree): string | undefined {
  const isThere = (path: string): boolean => tree.get(path)?.type === 'file';
  if (isThere(DPKG_STATUS)) return DPKG_STATUS;
  return RPM_FOLDERS.flatMap((folder) => [...RPM_FILES].map((name) => `${folder}/${name}`)).find(isThere);
}

function isSame(before: FileTree, after: FileTree, path: string): boolean {
  const [old, now] = [before.get(path), after.get(path)];
  return old !== undefined && old.stamp !== '' && old.stamp === now?.stamp && beside(before, path).join() === beside(after, path).join();
}

async function packagesOf({ files, tree }: ListedFiles, database: string, folder: string, signal: AbortSignal): Promise<Packages> {
  await mkdir(folder, { mode: 0o700 });
  const wanted = [database, ...beside(tree, database)].filter((path) => isReadable(tree, path));
  const copies = await files.copy(wanted, folder);
  if (database === DPKG_STATUS) {
    const copy = copies.get(database);
    return copy === undefined ? NONE : dpkgPackages(await readFile(copy, 'utf8'));
  }
  const db = join(folder, 'rpm');
  await mkdir(db);
  for (const [path, copy] of copies) await rename(copy, join(db, basename(path)));
  if (copies.size === 0) return NONE;
  const { code, stdout, stderr } = await run(['rpm', '--dbpath', db, '-qa', '--queryformat', RPM_FORMAT], {
    signal,
    maxOutput: MAX_DATABASE,
  });
  if (code !== 0) throw new EngineError('host.unavailable', 'rpm could not read the packages of the guest.', { details: { stderr } });
  return rpmPackages(stdout);
}

/** What was written to an sqlite database last may be in a file beside it. */
function beside(tree: FileTree, database: string): readonly string[] {
  const log = `${dirname(database)}/${basename(database)}-wal`;
  return tree.get(log)?.type === 'file' ? [log] : [];
}

function isReadable(tree: FileTree, path: string): boolean {
  const entry = tree.get(path);
  return entry?.type === 'file' && entry.size <= MAX_DATABASE;
}
