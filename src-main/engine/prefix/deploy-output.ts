import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import type { DeployOutput } from '../../../src-shared/deploy.ts';
import { readHolder } from '../core/lock.ts';
import { sleep } from '../core/until.ts';
import { readDeployRecord, type ScriptRecord } from './deploy-record.ts';
import type { PrefixPaths } from './layout.ts';

/** Of a longer output only the end is sent: as much as a view keeps. */
const KEPT = 256 * 1024;
const PIECE = 64 * 1024;
/** At most one piece in this time, which bounds the work of the view. */
const PIECE_EVERY_MS = 50;
/** Nothing tells that the process which runs the script was killed. */
const LOOK_EVERY_MS = 1000;

/**
 * Output of the last run of a VM's script (counted from 0): the end of what there is, then what is added, by whichever process. A reader that
 * is too slow skips some. Ends with the script, and on abort; at once when it never ran.
 */
export async function* followOutput(
  paths: PrefixPaths,
  vm: string,
  script: number,
  signal: AbortSignal,
): AsyncIterableIterator<DeployOutput> {
  const entry = async (): Promise<ScriptRecord | undefined> => (await readDeployRecord(paths)).vms[vm]?.[script];
  const first = await entry();
  if (first?.log === undefined || first.log === null) return;
  const path = join(paths.root, first.log);
  const file = await openIfThere(path);
  if (file === undefined) return;

  async function isOver(): Promise<boolean> {
    const now = await entry();
    return now?.run !== first?.run || now?.state !== 'running' || (await readHolder(paths.deployLock)) === undefined;
  }

  let changed = false;
  let wake = (): void => undefined;
  const notice = (): void => {
    changed = true;
    wake();
  };
  const watchers = [dirname(path), paths.root].map((folder) => watch(folder, notice).on('error', notice));
  signal.addEventListener('abort', notice);
  try {
    let decoder = new StringDecoder('utf8');
    let position = 0;
    while (!signal.aborted) {
      changed = false;
      // Asked before the end is looked for: what a script wrote before it ended is then there.
      const over = await isOver();
      const { size } = await file.stat();
      const skipped = Math.max(0, size - KEPT - position);
      if (skipped > 0) decoder = new StringDecoder('utf8');
      const { bytesRead, buffer } = await file.read(Buffer.alloc(PIECE), 0, PIECE, position + skipped);
      position += skipped + bytesRead;
      if (bytesRead > 0) {
        yield { text: decoder.write(buffer.subarray(0, bytesRead)), skipped };
        await sleep(PIECE_EVERY_MS);
      } else if (over) {
        const rest = decoder.end();
        if (rest !== '') yield { text: rest, skipped: 0 };
        return;
      } else {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, changed ? 0 : LOOK_EVERY_MS);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    }
  } finally {
    signal.removeEventListener('abort', notice);
    for (const watcher of watchers) watcher.close();
    await file.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
