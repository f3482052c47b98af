import { createHash } from 'node:crypto';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import { type ExportedSnapshot, SNAPSHOT_MANIFEST } from '../../../../src-shared/snapshot/exported-snapshot.ts';
import { readJson, writeJson } from '../../core/files/json-file.ts';
import { PrefixRecord, SnapshotRecord } from '../../prefix/record.ts';
import { NeededMachine } from './machine.ts';

/**
 * A portable snapshot: a folder laid out like a prefix that has nothing but one snapshot, and this file, which says what is in it. It comes
 * from another machine, perhaps from another person: nothing in it is believed, see `admit.ts`.
 */
const VERSION = 1;
/** The beginning of a file tells it from another one of the same size. */
const HEAD_BYTES = 64 * 1024;

/** A file as it was exported: its length, and the SHA-256 of its first 64 KiB. */
const FileMark = z.object({ bytes: z.number().int().min(0), head: z.string() });
export type FileMark = z.infer<typeof FileMark>;

export const Manifest = z.object({
  version: z.literal(VERSION),
  /** ms since the epoch. */
  exportedAt: z.number(),
  /** The environment whose snapshot it is. */
  environment: z.object({ name: z.string(), uuid: z.string().regex(/^[0-9a-f]{32}$/i) }),
  snapshot: SnapshotRecord,
  snapshotKeep: PrefixRecord.shape.snapshotKeep,
  /** What the memory needs to go on; null when there is none. */
  machine: NeededMachine.nullable(),
  /** All other files by their path in the folder. */
  files: z.record(z.string(), FileMark),
});
export type Manifest = z.infer<typeof Manifest>;

/** Whether a path is the folder of a portable snapshot, of any version. */
async function isPortable(path: string): Promise<boolean> {
  return await stat(join(path, SNAPSHOT_MANIFEST)).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** What the manifest of a folder says; undefined for any other path. `input.invalid` as `readManifest`. */
export async function describeExported(folder: string): Promise<ExportedSnapshot | undefined> {
  if (!(await isPortable(folder))) return undefined;
  const { environment, snapshot } = await readManifest(folder);
  return { environment: environment.name, snapshot: snapshot.name, createdAt: snapshot.createdAt, vms: snapshot.vms };
}

/** `input.missing-file` when the folder is not one, `input.invalid` when a newer version wrote it, or when it is damaged. */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, SNAPSHOT_MANIFEST);
  const found = (await isPortable(folder)) ? await readJson(path, z.looseObject({ version: z.number() })) : undefined;
  if (found === undefined) {
    throw new EngineError('input.missing-file', `${folder} is not the folder of an exported snapshot: it has no ${SNAPSHOT_MANIFEST}.`, {
      hint: 'Give a folder that "lago export --snapshot NAME" wrote. An init file is used without --resume.',
    });
  }
  if (found.version > VERSION) {
    throw new EngineError('input.invalid', `${folder} was written by a newer version of Lago (format ${found.version}, here ${VERSION}).`, {
      hint: 'Update Lago on this machine.',
    });
  }
  const manifest = await readJson(path, Manifest);
  if (manifest === undefined) throw new EngineError('input.missing-file', `${path} was removed meanwhile.`);
  return manifest;
}

/** Written last: a folder without it is not an exported snapshot. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  await writeJson(join(folder, SNAPSHOT_MANIFEST), manifest, 0o600);
}

/** Reads how a file is. */
export async function markFile(path: string): Promise<FileMark> {
  await using file = await open(path, 'r');
  const [{ size }, head] = [await file.stat(), Buffer.alloc(HEAD_BYTES)];
  const { bytesRead } = await file.read(head, 0, HEAD_BYTES, 0);
  return { bytes: size, head: createHash('sha256').update(head.subarray(0, bytesRead)).digest('hex') };
}

/** `input.invalid` when a file is not there, is not what was exported, or is outside the folder. */
export async function requireWhole(folder: string, { files }: Manifest, signal: AbortSignal): Promise<void> {
  const root = await realpath(folder);
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  // Links would lead out of the folder.
  const problems = entries.filter((entry) => !entry.isFile() && !entry.isDirectory()).map(({ name }) => `${name} is not a file`);
  for (const [name, expected] of Object.entries(files)) {
    signal.throwIfAborted();
    const problem = await fileProblem(root, name, expected);
    if (problem !== undefined) problems.push(`${name} ${problem}`);
  }
  if (problems.length === 0) return;
  const more = problems.length > 3 ? `, and ${problems.length - 3} more` : '';
  throw new EngineError('input.invalid', `The exported snapshot ${folder} is damaged: ${problems.slice(0, 3).join(', ')}${more}.`, {
    hint: 'Copy the folder again, or export the snapshot again.',
  });
}

async function fileProblem(root: string, name: string, expected: FileMark): Promise<string | undefined> {
  const path = join(root, name);
  try {
    if (!path.startsWith(`${root}/`)) return 'is outside of it';
    if (!(await stat(path)).isFile()) return 'is not a file';
    const { bytes, head } = await markFile(path);
    if (bytes !== expected.bytes) return `has ${bytes} bytes instead of ${expected.bytes}`;
    return head === expected.head ? undefined : 'has another content';
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return 'is missing';
    throw error;
  }
}
