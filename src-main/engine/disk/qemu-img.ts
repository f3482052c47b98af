import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import { type RunOptions, type RunResult, run } from '../core/run.ts';

/** Disk formats of an environment's VMs. An `iso` in an init file is `raw` here. */
export type ImageFormat = 'qcow2' | 'raw';

/** All readable formats; those beyond `ImageFormat` must be declared explicitly. */
export type ReadableFormat = ImageFormat | 'vmdk' | 'vdi' | 'vpc' | 'vhdx' | 'qed';

export interface ImageOptions {
  readonly signal?: AbortSignal | undefined;
  /** Runs qemu-img where the image is; default: on this machine. */
  readonly run?: typeof run | undefined;
}

/** One internal snapshot of a qcow2 file. */
export interface ImageSnapshot {
  readonly id: string;
  readonly name: string;
  /** Bytes of guest memory saved with it, 0 for disks only. */
  readonly memory: number;
  /** ms since the epoch. */
  readonly createdAt: number;
}

/** Output of `qemu-img info`. Sizes in bytes. */
export interface ImageInfo {
  readonly path: string;
  /** QEMU's name; may be one that is not an `ImageFormat` (vmdk, vdi). */
  readonly format: string;
  /** What the guest sees. */
  readonly virtualSize: number;
  /** Space used on this machine's disk. */
  readonly actualSize: number;
  /** As recorded in the image, possibly relative to it. */
  readonly backingFile: string | undefined;
  readonly backingFormat: string | undefined;
  /** An external data file, another way for an image to refer to a file outside itself. */
  readonly dataFile: string | undefined;
  readonly encrypted: boolean;
  readonly snapshots: readonly ImageSnapshot[];
}

/** Largest accepted disk, 1 PiB: larger values are typing errors, which QEMU reports late and obscurely. */
const MAX_SIZE = 2 ** 50;
const UNITS: Readonly<Record<string, number>> = { '': 0, b: 0, k: 1, m: 2, g: 3, t: 4, p: 5, e: 6 };

/**
 * Parses a size in an init file (qemu-img's syntax: `101G`, `1.5T`, `512M`, plain bytes) into bytes, rounded up to a sector.
 * `input.invalid` when it is not a size or beyond 1 PiB.
 */
export function parseSize(text: string | number): number {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgtpe]?)(?:i?b)?$/i.exec(String(text).trim());
  const exponent = match === null ? undefined : UNITS[(match[2] ?? '').toLowerCase()];
  const bytes = match === null || exponent === undefined ? Number.NaN : Number(match[1]) * 1024 ** exponent;
  if (!(bytes > 0 && bytes <= MAX_SIZE)) {
    throw new EngineError('input.invalid', `"${text}" is not a disk size.`, { hint: 'Write it as 10G, 512M or in bytes, at most 1P.' });
  }
  return Math.ceil(bytes / 512) * 512;
}

function checkPath(path: string): void {
  // qemu-img takes "word:" at the start of a relative name for a protocol (nbd:, json:).
  if (!isAbsolute(path)) throw new EngineError('internal', `Image paths must be absolute, not "${path}".`);
}

async function qemuImg(
  args: readonly string[],
  message: string,
  path: string,
  { run: runThere = run, ...options }: RunOptions & Pick<ImageOptions, 'run'>,
): Promise<RunResult> {
  const result = await runThere(['qemu-img', ...args], options);
  if (result.code === 0) return result;
  const reason = result.stderr
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^qemu-img: /, ''))
    .at(-1);
  const details = {
    command: `qemu-img ${args.join(' ')}`,
    exit: result.code ?? result.signal ?? 'killed',
    stderr: result.stderr.slice(-4000),
  };
  const text = reason === undefined ? message : `${message} ${reason}.`;
  if (/No space left on device|Disk quota exceeded/.test(result.stderr)) {
    throw new EngineError('host.no-space', text, { details, hint: `Free space on the file system of ${path} and try again.` });
  }
  if (/Permission denied/.test(result.stderr)) throw new EngineError('host.denied', text, { details });
  if (/No such file or directory/.test(result.stderr)) throw new EngineError('input.missing-file', text, { details });
  throw new EngineError('host.unavailable', text, { details });
}

/**
 * Reads an image's header. Works on images of running VMs (`-U`). Without `format` QEMU guesses it from the content, which a guest or a
 * download controls: check the result before trusting it. `input.missing-file` when the file does not exist, `input.invalid` when it cannot
 * be read as an image.
 */
export async function inspectImage(
  path: string,
  options: ImageOptions & { readonly format?: ReadableFormat | undefined } = {},
): Promise<ImageInfo> {
  checkPath(path);
  const format = options.format === undefined ? [] : ['-f', options.format];
  const { stdout } = await qemuImg(['info', '-U', '--output=json', ...format, path], `The disk image ${path} cannot be read.`, path, {
    signal: options.signal,
    run: options.run,
  });
  const parsed = Info.safeParse(JSON.parse(stdout));
  if (!parsed.success) throw new EngineError('input.invalid', `qemu-img gave no usable answer about ${path}.`, { cause: parsed.error });
  const info = parsed.data;
  const specific = info['format-specific']?.data;
  return {
    path,
    format: info.format,
    virtualSize: info['virtual-size'],
    actualSize: info['actual-size'] ?? 0,
    backingFile: info['backing-filename'],
    backingFormat: info['backing-filename-format'],
    dataFile: specific?.['data-file'],
    encrypted: info.encrypted ?? false,
    snapshots: info.snapshots.map((entry) => ({
      id: entry.id,
      name: entry.name,
      memory: entry['vm-state-size'],
      createdAt: entry['date-sec'] * 1000 + Math.floor(entry['date-nsec'] / 1_000_000),
    })),
  };
}

const Info = z.object({
  format: z.string(),
  'virtual-size': z.number(),
  'actual-size': z.number().optional(),
  'backing-filename': z.string().optional(),
  'backing-filename-format': z.string().optional(),
  encrypted: z.boolean().optional(),
  snapshots: z
    .array(
      z.object({
        id: z.string(),
        name: z.string(),
        'vm-state-size': z.number(),
        'date-sec': z.number(),
        'date-nsec': z.number().default(0),
      }),
    )
    .default([]),
  'format-specific': z.object({ data: z.looseObject({ 'data-file': z.string().optional() }).optional() }).optional(),
});

/** Internal snapshots of an image, oldest first; works while its VM runs. */
export async function listImageSnapshots(path: string, options: ImageOptions = {}): Promise<readonly ImageSnapshot[]> {
  return (await inspectImage(path, { ...options, format: 'qcow2' })).snapshots;
}

/** Deletes the internal snapshots of this name, if any, from an image that is not in use. */
export async function deleteImageSnapshot(path: string, name: string, options: ImageOptions = {}): Promise<void> {
  for (const snapshot of await listImageSnapshots(path, options)) {
    if (snapshot.name !== name) continue;
    await qemuImg(['snapshot', '-d', name, path], `The snapshot "${name}" cannot be deleted from ${path}.`, path, options);
  }
}

export interface OverlayRequest {
  readonly path: string;
  /** The backing image; absolute, since a relative path would be resolved beside the overlay. */
  readonly backing: string;
  /** Always explicit: with a guessed format a raw image's guest decides what QEMU opens. */
  readonly backingFormat: ImageFormat;
  /** Virtual size in bytes if it should be larger than the backing image's. */
  readonly size?: number;
}

/** Creates a qcow2 overlay on `backing`. The file must not exist. `input.invalid` when `size` is smaller than the backing image. */
export async function createOverlay(request: OverlayRequest, options: ImageOptions = {}): Promise<void> {
  checkPath(request.path);
  checkPath(request.backing);
  const inspectBacking = async (): Promise<ImageInfo> => await inspectImage(request.backing, { ...options, format: request.backingFormat });
  if (request.size !== undefined) {
    const below = await inspectBacking();
    if (request.size < below.virtualSize) {
      throw new EngineError(
        'input.invalid',
        `The disk ${request.path} cannot have ${request.size} bytes: its template ${request.backing} has ${below.virtualSize}.`,
        { hint: 'Ask for at least the size of the template, or leave the size out.' },
      );
    }
  }
  await refuseExisting(request.path);
  const size = request.size === undefined ? [] : [String(request.size)];
  try {
    await qemuImg(
      ['create', '-q', '-f', 'qcow2', '-o', 'lazy_refcounts=on', '-F', request.backingFormat, '-b', request.backing, request.path, ...size],
      `The disk ${request.path} could not be made on top of ${request.backing}.`,
      request.path,
      { signal: options.signal },
    );
  } catch (error) {
    // qemu-img opens the backing chain too; only after a failure is it worth asking what is wrong there.
    if (!isCancelled(error)) await inspectBacking();
    throw error;
  }
}

/**
 * Creates an empty disk. qcow2 metadata is preallocated, as in Lago; raw is a hole. The file must not exist. `size` in bytes, see
 * `parseSize`.
 */
export async function createEmptyDisk(
  request: { readonly path: string; readonly format: ImageFormat; readonly size: number },
  options: ImageOptions = {},
): Promise<void> {
  checkPath(request.path);
  if (!Number.isInteger(request.size) || request.size <= 0 || request.size > MAX_SIZE) {
    throw new EngineError('input.invalid', `A disk of ${request.size} bytes cannot be made.`);
  }
  await refuseExisting(request.path);
  const preallocate = request.format === 'qcow2' ? ['-o', 'preallocation=metadata'] : [];
  await qemuImg(
    ['create', '-q', '-f', request.format, ...preallocate, request.path, String(request.size)],
    `The empty disk ${request.path} could not be made.`,
    request.path,
    { signal: options.signal },
  );
}

async function refuseExisting(path: string): Promise<void> {
  try {
    await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw diskError(error, path);
  }
  throw new EngineError('input.invalid', `The disk ${path} exists already.`, { hint: 'Remove it first; nothing is overwritten.' });
}

export interface ConvertRequest {
  readonly from: string;
  readonly fromFormat: ReadableFormat;
  readonly to: string;
  readonly toFormat: ImageFormat;
  /** qcow2 only: compressed clusters, smaller and slower to write. */
  readonly compress?: boolean;
  /** qcow2 only: the image directly below `from`. Only the data in `from` itself is copied, into an overlay on this image. */
  readonly backing?: { readonly path: string; readonly format: ImageFormat };
}

/**
 * Copies an image into one new file, including its backing chain unless `backing` is given. Zeros take no space there, and internal
 * snapshots of `from` are left out. `onFraction` gets 0..1. The target must not exist.
 */
export async function convertImage(
  request: ConvertRequest,
  options: ImageOptions & { readonly onFraction?: (fraction: number) => void } = {},
): Promise<void> {
  checkPath(request.from);
  checkPath(request.to);
  await refuseExisting(request.to);
  const compress = request.compress === true ? ['-c'] : [];
  const { backing } = request;
  if (backing !== undefined) checkPath(backing.path);
  const below = backing === undefined ? [] : ['-B', backing.path, '-o', `backing_fmt=${backing.format}`];
  await qemuImg(
    ['convert', '-p', '-f', request.fromFormat, '-O', request.toFormat, ...compress, ...below, request.from, request.to],
    `${request.from} could not be converted to ${request.to}.`,
    request.to,
    {
      signal: options.signal,
      onLine: (line) => {
        const percent = /\((\d+(?:\.\d+)?)\/100%\)/.exec(line)?.[1];
        if (percent !== undefined) options.onFraction?.(Number(percent) / 100);
      },
    },
  );
}

/** Upper bound, in bytes, of what `convertImage` will write. */
export async function measureConversion(
  request: Pick<ConvertRequest, 'from' | 'fromFormat' | 'toFormat'>,
  options: ImageOptions = {},
): Promise<number> {
  checkPath(request.from);
  const { stdout } = await qemuImg(
    ['measure', '--output=json', '-f', request.fromFormat, '-O', request.toFormat, request.from],
    `${request.from} cannot be measured.`,
    request.from,
    { signal: options.signal },
  );
  return z.object({ required: z.number() }).parse(JSON.parse(stdout)).required;
}

/**
 * Changes the backing file recorded in an image without reading or copying data (`rebase -u`), so `backing` must have the same content as
 * the old one. It is absolute, or begins with `./` for a file beside the image. Only for our own images.
 */
export async function setBacking(
  request: { readonly path: string; readonly backing: string; readonly backingFormat: ImageFormat },
  options: ImageOptions = {},
): Promise<void> {
  checkPath(request.path);
  if (!request.backing.startsWith('./')) checkPath(request.backing);
  await qemuImg(
    ['rebase', '-u', '-f', 'qcow2', '-F', request.backingFormat, '-b', request.backing, request.path],
    `${request.path} could not be put on top of ${request.backing}.`,
    request.path,
    { signal: options.signal },
  );
}

/**
 * Creates an empty layer on `backing`, which is absolute or the name of a file in the layer's folder, without reading it. The file must not
 * exist.
 */
export async function createLayerOn(
  request: { readonly path: string; readonly backing: string; readonly backingFormat: ImageFormat },
  options: ImageOptions = {},
): Promise<void> {
  const { path, backing, backingFormat } = request;
  checkPath(path);
  await refuseExisting(path);
  await qemuImg(
    ['create', '-q', '-f', 'qcow2', '-F', backingFormat, '-b', localName(backing), path],
    `A layer could not be put on ${backing}.`,
    path,
    options,
  );
}

/**
 * Puts an image on another backing file, or on none (`''`), and copies what it had from its old one and not from the new one. The image
 * must not be in use. Safe to interrupt: the header is written last. It ends with this process, so that whoever goes on finds the image free.
 */
export async function moveOnto(
  request: { readonly path: string; readonly backing: string; readonly backingFormat: ImageFormat | undefined },
  options: ImageOptions = {},
): Promise<void> {
  const { path, backing, backingFormat } = request;
  checkPath(path);
  const format = backingFormat === undefined ? [] : ['-F', backingFormat];
  await qemuImg(
    ['rebase', '-f', 'qcow2', ...format, '-b', backing === '' ? '' : localName(backing), path],
    `${path} could not take in what is below it.`,
    path,
    { ...options, run: async (argv, how) => await (options.run ?? run)(['setpriv', '--pdeathsig', 'TERM', ...argv], how) },
  );
}

/**
 * Writes what an image has into its backing file, and leaves the image as it is. Nobody may write to either. Nothing is lost when it is
 * interrupted: the image shows the same all the time.
 */
export async function commitImage(path: string, options: ImageOptions = {}): Promise<void> {
  checkPath(path);
  await qemuImg(['commit', '-q', '-d', '-f', 'qcow2', path], `${path} could not be written into what is below it.`, path, options);
}

/** QEMU takes "word:" at the start of a relative name for a protocol, and keeps the name as it is given. */
function localName(name: string): string {
  return isAbsolute(name) || !name.includes(':') ? name : `./${name}`;
}

const ImageMap = z.array(z.looseObject({ depth: z.number(), present: z.boolean() }));

/** Whether a qcow2 file itself has anything, also zeros, instead of showing what is below. Works while a VM uses it. */
export async function hasOwnData(path: string, options: ImageOptions = {}): Promise<boolean> {
  checkPath(path);
  const { stdout } = await qemuImg(
    ['map', '-U', '--output=json', '-f', 'qcow2', path],
    `The disk image ${path} cannot be read.`,
    path,
    options,
  );
  return ImageMap.parse(JSON.parse(stdout)).some(({ depth, present }) => depth === 0 && present);
}
