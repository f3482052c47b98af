import { lstat, mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import type { Step } from '../core/operation.ts';
import type { UndoStack } from '../core/undo.ts';
import { copyImage } from '../disk/backing-chain.ts';
import { receiveImage } from '../disk/receive-image.ts';
import type { DiskJob } from '../plan/plan-disks.ts';
import { expandPrefixPath, type PrefixPaths } from '../prefix/layout.ts';

/** Downloads share the bandwidth. */
const FETCHES = 2;

type DownloadJob = DiskJob & { readonly kind: 'download' };

/** One download and all its destinations. */
interface Fetch {
  readonly url: string;
  readonly format: string;
  readonly disk: string;
  readonly targets: Set<string>;
}

/**
 * Downloads the URLs of `file` disks, each URL once: to `keptAt`, else to the disk's own path. `undo` removes downloads kept outside of the
 * prefix; an interrupted download stays in the template store. `input.invalid` when two URLs have the same destination.
 */
export async function fetchFiles(jobs: readonly DiskJob[], paths: PrefixPaths, store: string, undo: UndoStack, step: Step): Promise<void> {
  const fetches = collect(
    jobs.filter((job) => job.kind === 'download'),
    paths,
  );
  await step.each(
    fetches,
    FETCHES,
    (fetch) => `Download ${fetch.url}`,
    async ({ url, format, disk, targets }, one) => {
      const [first, ...others] = targets;
      if (first === undefined) return;
      await prepare(first, paths, undo);
      await receiveImage({ url, to: first, format }, { signal: one.signal, log: one.log, progress: one.progress, store });
      for (const other of others) {
        await prepare(other, paths, undo);
        await copyImage(first, other, disk, one.signal);
      }
    },
  );
}

function collect(jobs: readonly DownloadJob[], paths: PrefixPaths): readonly Fetch[] {
  const fetches = new Map<string, Fetch>();
  const sources = new Map<string, string>();
  for (const { url, format, disk, keptAt, path } of jobs) {
    const target = keptAt ?? expandPrefixPath(path, paths.root);
    const key = `${format} ${url}`;
    if ((sources.get(target) ?? key) !== key) {
      throw new EngineError('input.invalid', `Two different downloads would be kept at ${target}.`, {
        hint: 'Give each a path of its own.',
      });
    }
    sources.set(target, key);
    const fetch = fetches.get(key) ?? { url, format, disk, targets: new Set<string>() };
    fetch.targets.add(target);
    fetches.set(key, fetch);
  }
  return [...fetches.values()];
}

/** Prepares the path of a file that must not exist: neither the prefix's nor the user's files are overwritten. */
async function prepare(target: string, paths: PrefixPaths, undo: UndoStack): Promise<void> {
  let taken: boolean;
  try {
    await mkdir(dirname(target), { recursive: true });
    taken = (await lstat(target).catch(missing)) !== undefined;
  } catch (error) {
    throw diskError(error, target);
  }
  if (taken)
    throw new EngineError('input.invalid', `The download cannot be kept at ${target}: something is there already.`, {
      hint: 'Give another path.',
    });
  if (!target.startsWith(`${paths.root}/`)) undo.add(`remove ${target}`, async () => await rm(target, { force: true }));
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
