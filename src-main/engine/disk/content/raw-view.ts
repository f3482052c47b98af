import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, toEngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/json-file.ts';
import { drop, silentLog } from '../../core/log.ts';
import { type RunResult, run, runChecked } from '../../core/run.ts';
import { until } from '../../core/until.ts';
import { fileBelow } from '../layers.ts';

export interface ViewedImage {
  /** Absolute. */
  readonly path: string;
  readonly format: string;
  /** Byte at which the view begins. Default 0; that of a partition shows only this. */
  readonly offset?: number;
}

const APPEAR_MS = 30_000;

/** A raw file that shows an image. Disposing it ends the view. */
export interface RawView extends AsyncDisposable {
  readonly path: string;
}

/** Shows an image as a raw file while `work` runs, as `openRawView` does. */
export async function withRawView<T>(
  image: ViewedImage,
  scratch: string,
  signal: AbortSignal,
  work: (raw: string) => Promise<T>,
): Promise<T> {
  await using view = await openRawView(image, scratch, signal);
  try {
    return await work(view.path);
  } catch (error) {
    throw diskError(error, scratch);
  }
}

/**
 * Shows an image as a raw file. The image itself and those below it are only read, and not locked: what is written to the view, such as a journal that is
 * replayed, goes to an overlay in `scratch`, a folder that must not exist and is removed. Needs qemu-storage-daemon and /dev/fuse:
 * `host.missing-tool`, `host.unavailable`.
 */
export async function openRawView(image: ViewedImage, scratch: string, signal: AbortSignal): Promise<RawView> {
  const overlay = join(scratch, 'overlay.qcow2');
  const raw = join(scratch, 'raw');
  const end = new AbortController();
  let daemon: Promise<RunResult | undefined> | undefined;
  const close = async (): Promise<void> => {
    end.abort();
    await Promise.allSettled([daemon]); // that it was ended is its error
    await rm(scratch, { recursive: true, force: true });
  };
  try {
    await mkdir(scratch, { recursive: true, mode: 0o700 });
    await writeFile(raw, '');
    const create = ['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', image.format, '-b', image.path, overlay];
    await runChecked(create, `The disk ${image.path} cannot be read.`, { signal });
    daemon = startDaemon(image, overlay, raw, AbortSignal.any([end.signal, signal]));
    await appeared(raw, daemon, image, signal);
    return { path: raw, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw diskError(error, scratch);
  }
}

async function startDaemon(image: ViewedImage, overlay: string, raw: string, signal: AbortSignal): Promise<RunResult> {
  const backing = await unlockedNode(image.path, image.format);
  const disk = { driver: 'qcow2', file: { driver: 'file', filename: overlay }, backing };
  const node = { driver: 'raw', 'node-name': 'disk', offset: image.offset ?? 0, file: disk };
  const view = `type=fuse,id=view,node-name=disk,mountpoint=${raw.replaceAll(',', ',,')},writable=on`;
  const daemon = ['qemu-storage-daemon', '--blockdev', JSON.stringify(node), '--export', view];
  return await run(['setpriv', '--pdeathsig', 'TERM', ...daemon], { signal });
}

/** An image with all that is below it. None is locked, so that the VM can be started and layers be merged meanwhile. */
async function unlockedNode(path: string, format: string, above: readonly string[] = []): Promise<object> {
  if (above.includes(path)) throw new EngineError('input.invalid', `The disk image ${path} lies on itself.`);
  const below = format === 'qcow2' ? await fileBelow(path) : undefined;
  const backing = below === undefined ? {} : { backing: await unlockedNode(below.path, below.format, [...above, path]) };
  return { driver: format, 'read-only': true, file: { driver: 'file', filename: path, locking: 'off' }, ...backing };
}

/** Waits until the view has the disk's size. */
async function appeared(raw: string, daemon: Promise<RunResult | undefined>, image: ViewedImage, signal: AbortSignal): Promise<void> {
  let ended: RunResult | undefined;
  let failed: EngineError | undefined;
  const watch = async (): Promise<void> => {
    try {
      ended = await daemon;
    } catch (error) {
      failed = toEngineError(error);
    }
  };
  drop(watch(), silentLog, 'qemu-storage-daemon');
  const failure = (): EngineError =>
    new EngineError('host.unavailable', `The disk ${image.path} could not be shown as a file.`, {
      details: { stderr: ended?.stderr.slice(-2000) ?? '' },
      hint: 'qemu-storage-daemon needs /dev/fuse and fusermount3 (package fuse3).',
    });
  await until(
    async () => {
      if (failed !== undefined) throw failed;
      if (ended !== undefined) throw failure();
      return (await stat(raw)).size > 0 ? true : undefined;
    },
    { everyMs: 20, timeoutMs: APPEAR_MS, signal, failure },
  );
}
