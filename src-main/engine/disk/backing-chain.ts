import { chmod, mkdir, readlink, realpath, stat, symlink, unlink } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import type { Log } from '../core/log.ts';
import { runChecked } from '../core/run.ts';
import type { UndoStack } from '../core/undo.ts';
import { imageKind } from './foreign-image.ts';
import { type ImageFormat, type ImageInfo, inspectImage, setBacking } from './qemu-img.ts';

/** An image that an overlay can be placed on. */
export interface Backing {
  readonly path: string;
  readonly format: ImageFormat;
}

export interface ChainRequest {
  /** Absolute path of the uppermost image; never written to. */
  readonly image: string;
  /** Where the image was when its backing names were written; default: where it is now. */
  readonly origin?: string | undefined;
  /** The disk's name, for messages. */
  readonly disk: string;
  /** Replaces a file that is missing from the chain. */
  readonly missing?: { readonly path: string; readonly template: Backing } | undefined;
  /** Folder for copies, created when needed. */
  readonly copies: string;
  /** Prefix of copy names, unique in that folder. */
  readonly prefix: string;
}

export interface ChainOptions {
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Undoes changes outside of `copies`. */
  readonly undo: UndoStack;
}

const MAX_DEPTH = 32;

/**
 * Makes the images below a disk readable without guessing: each one exists and declares the format of the one below it (libvirt refuses
 * anything else). Images that already do are used unchanged. A template missing from an exported image's chain is linked beside it under
 * the name recorded there, as Lago did. An image is copied, sparse, to `copies` when its header is not enough: an undeclared or wrong
 * format, a name that QEMU takes for a protocol, a folder where no link can be created. Its backing file is then recorded in the copy:
 * users' files are never written to. `input.invalid` for cycles, other formats, and parts that are missing or not files.
 */
export async function resolveChain(request: ChainRequest, options: ChainOptions): Promise<Backing> {
  return await resolveImage(request.image, undefined, request, options, []);
}

/** The resolved image below an image; undefined when it stands alone. For copies of the image, which must record it. */
export async function resolveBelow(request: ChainRequest, options: ChainOptions): Promise<Backing | undefined> {
  const { below } = await look(request.image, undefined, request, options, []);
  return below?.backing;
}

interface Below {
  readonly backing: Backing;
  /** The image's header declares exactly this, in a form that QEMU understands. */
  readonly asWritten: boolean;
}

async function resolveImage(
  path: string,
  format: ImageFormat | undefined,
  request: ChainRequest,
  options: ChainOptions,
  above: readonly string[],
): Promise<Backing> {
  const { own, below } = await look(path, format, request, options, above);
  if (below === undefined || below.asWritten) return { path, format: own };
  const copy = join(request.copies, `${request.prefix}.${above.length}.qcow2`);
  options.log.info(`Copying ${path}: it does not record its backing file ${below.backing.path} (${below.backing.format}).`);
  await copyImage(path, copy, request.disk, options.signal);
  await setBacking({ path: copy, backing: below.backing.path, backingFormat: below.backing.format }, options);
  return { path: copy, format: 'qcow2' };
}

/** Copies an image file, keeping its holes; the copy may be written to. */
export async function copyImage(from: string, to: string, disk: string, signal: AbortSignal): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await runChecked(['cp', '--reflink=auto', '--sparse=always', '--', from, to], `The disk ${disk} could not be copied from ${from}.`, {
    signal,
  });
  await chmod(to, 0o644).catch((error: unknown) => {
    throw diskError(error, to);
  });
}

async function look(
  path: string,
  format: ImageFormat | undefined,
  request: ChainRequest,
  options: ChainOptions,
  above: readonly string[],
): Promise<{ readonly own: ImageFormat; readonly below: Below | undefined }> {
  const { signal } = options;
  const real = await realpath(path).catch((error: unknown) => {
    throw diskError(error, path);
  });
  if (above.includes(real)) throw sameFile(request.disk);
  if (above.length >= MAX_DEPTH)
    throw invalid(`Backing file resolution of disk ${request.disk} failed. More than ${MAX_DEPTH} images lie below it.`);
  const own = format ?? (await formatOf(path));
  const info = await inspectImage(path, { format: own, signal });
  if (info.dataFile !== undefined)
    throw invalid(`The image ${path} keeps its data in another file (${info.dataFile}), which is not supported.`);
  if (info.encrypted) throw invalid(`The image ${path} is encrypted, which is not supported.`);
  return {
    own,
    below: info.backingFile === undefined ? undefined : await lookBelow(path, info, info.backingFile, request, options, [...above, real]),
  };
}

async function lookBelow(
  path: string,
  info: ImageInfo,
  name: string,
  request: ChainRequest,
  options: ChainOptions,
  above: readonly string[],
): Promise<Below> {
  const { disk, missing } = request;
  if (name.startsWith('json:') || /^[a-z][a-z0-9+.-]*:\/\//i.test(name)) {
    throw invalid(
      `Backing file resolution of disk ${disk} failed. The backing file of ${path} is ${JSON.stringify(name)}, which is not a file.`,
    );
  }
  const lower = backingPath(above.length === 1 ? (request.origin ?? path) : path, name);
  // Without "./", QEMU takes "el7:v1" for the protocol el7.
  const plain = posix.isAbsolute(name) || !/^[^/]*:/.test(name);
  if (!(await exists(lower))) {
    if (missing?.path !== lower)
      throw invalid(`Backing file resolution of disk ${disk} failed. Backing file ${lower} is not a Lago image.`);
    const { template } = missing;
    const linked = plain && info.backingFormat === template.format && (await linkBeside(lower, template.path, options));
    return { backing: template, asWritten: linked };
  }
  const said = info.backingFormat === undefined ? undefined : imageFormat(info.backingFormat, lower);
  const resolved = await resolveImage(lower, said ?? (await guessedFormat(path, lower, options.signal)), request, options, above);
  return { backing: resolved, asWritten: plain && resolved.path === lower && said === resolved.format };
}

/** The file that a backing name refers to. */
export function backingPath(image: string, name: string): string {
  return posix.resolve(posix.dirname(image), name.replace(/^file:/, ''));
}

/** Guesses an undeclared format, but only when a wrong guess would expose no other file. */
async function guessedFormat(upper: string, path: string, signal: AbortSignal): Promise<ImageFormat> {
  const format = await formatOf(path);
  if (format === 'raw') return format;
  const info = await inspectImage(path, { format, signal });
  if (info.backingFile === undefined && info.dataFile === undefined) return format;
  throw new EngineError('input.invalid', `The image ${upper} does not say which format its backing file ${path} has.`, {
    hint: `If the image is yours, record it: qemu-img rebase -u -F ${format} -b ${path} ${upper}`,
  });
}

async function formatOf(path: string): Promise<ImageFormat> {
  const kind = await imageKind(path);
  return kind === 'iso' ? 'raw' : imageFormat(kind, path);
}

function imageFormat(format: string, path: string): ImageFormat {
  if (format === 'qcow2' || format === 'raw') return format;
  throw new EngineError('input.invalid', `The image ${path} is of the format ${format}; nothing can be put on top of it.`, {
    hint: 'Convert it: qemu-img convert -O qcow2.',
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw diskError(error, path);
  }
}

/** False where no link can be created: read-only, no permission, or a file system without links. A dangling link is replaced. */
async function linkBeside(link: string, target: string, options: ChainOptions): Promise<boolean> {
  try {
    const old = await readlink(link).catch(() => undefined);
    if (old !== undefined) await unlink(link);
    await symlink(target, link);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT') {
      options.log.debug(`${link} cannot be made (${code}).`);
      return false;
    }
    // Another environment being created from the same image was faster.
    if (code === 'EEXIST' && (await realpath(link)) === (await realpath(target))) return true;
    throw diskError(error, link);
  }
  options.undo.add(`remove ${link}`, async () => await unlink(link));
  options.log.info(`Linked ${link} to ${target}.`);
  return true;
}

function sameFile(disk: string): EngineError {
  return invalid(`Disk ${disk} and its backing file are the same file.`);
}

function invalid(message: string): EngineError {
  return new EngineError('input.invalid', message);
}
