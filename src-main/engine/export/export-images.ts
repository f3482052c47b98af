import { open, realpath, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { formatBytes } from '../../../src-shared/bytes.ts';
import { EngineError } from '../../../src-shared/errors.ts';
import type { ApplianceOptions } from '../appliance/appliance.ts';
import { sparsifyInPlace } from '../appliance/sparsify.ts';
import { diskError, writeFileAtomic, writeJson } from '../core/files/json-file.ts';
import type { Step } from '../core/operation.ts';
import { backingPath, copyImage } from '../disk/backing-chain.ts';
import { imageKind } from '../disk/foreign-image.ts';
import { compressFile, hashFile, type PackedFile } from '../disk/pack.ts';
import { convertImage, type ImageFormat, inspectImage, measureConversion, setBacking } from '../disk/qemu-img.ts';

/** How to export an image, decided by examining it. */
export interface ImageSource {
  readonly source: string;
  /** For messages: "root of web". */
  readonly what: string;
  /** Undefined for a byte-by-byte copy (ISO images, read-only formats). */
  readonly format: ImageFormat | undefined;
  /** The template that stays its backing image; undefined when the whole chain is merged into it. */
  readonly below: { readonly path: string; readonly format: ImageFormat; readonly name: string } | undefined;
  /** Base name of the lowest image in its chain; recorded in `.metadata`. */
  readonly base: string | undefined;
  /** Upper bound of the bytes written, before compression. */
  readonly size: number;
}

const DEPTH = 32;
/** `REPO:NAME:VERSION`, the name of a template in the store. */
const STORED_NAME = /^[^:/]+:([^/]+:[^:/]+)$/;

/**
 * Examines an image to be exported. With `layered`, an image directly on a template stays a layer; a longer chain is refused with Lago's
 * sentence; one on an image without a template's name is merged, since nobody else has that image.
 */
export async function lookAtImage(
  image: { readonly source: string; readonly what: string; readonly format: string; readonly layered: boolean },
  step: Step,
): Promise<ImageSource> {
  const { source, what } = image;
  const { signal } = step;
  const allocated = await allocatedBytes(source);
  if (image.format !== 'qcow2' && image.format !== 'raw') {
    return { source, what, format: undefined, below: undefined, base: undefined, size: allocated };
  }
  const chain = image.format === 'raw' ? [] : await chainBelow(source, signal);
  const [first] = chain;
  const base = chain.at(-1) === undefined ? undefined : basename(await realpath(chain.at(-1)?.path ?? ''));
  const common = { source, what, format: image.format, base } as const;
  if (image.layered && first !== undefined) {
    if (chain.length > 1) {
      throw new EngineError(
        'input.invalid',
        'Layered export is currently supported for one layer only. You can try to use Standalone export.',
        {
          details: { disk: what, layers: [source, ...chain.map(({ path }) => path)].join(', ') },
          hint: `The disk ${what} has ${chain.length} images below it: use --standalone.`,
        },
      );
    }
    const name = STORED_NAME.exec(base ?? '')?.[1];
    if (name !== undefined) return { ...common, below: { ...first, name }, size: allocated };
    step.log.info(`The disk ${what} is a layer on ${first.path}, which is not a template: the two are merged.`);
  }
  const size =
    image.format === 'raw' ? allocated : await measureConversion({ from: source, fromFormat: 'qcow2', toFormat: 'qcow2' }, { signal });
  return { ...common, below: undefined, size };
}

/** Bytes on disk: holes do not count. */
async function allocatedBytes(path: string): Promise<number> {
  try {
    return (await stat(path)).blocks * 512;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw diskError(error, path);
    throw new EngineError('input.missing-file', `The disk image ${path} is not there.`, { cause: error });
  }
}

async function chainBelow(path: string, signal: AbortSignal): Promise<readonly { readonly path: string; readonly format: ImageFormat }[]> {
  const chain: { readonly path: string; readonly format: ImageFormat }[] = [];
  let upper = path;
  let format: ImageFormat = 'qcow2';
  while (format === 'qcow2') {
    const info = await inspectImage(upper, { format, signal });
    if (info.backingFile === undefined) break;
    const lower = backingPath(upper, info.backingFile);
    const said = info.backingFormat ?? (await imageKind(lower));
    format = said === 'qcow2' ? 'qcow2' : 'raw';
    chain.push({ path: lower, format });
    upper = lower;
    if (chain.length > DEPTH) throw new EngineError('input.invalid', `More than ${DEPTH} images lie below ${path}.`);
  }
  return chain;
}

export interface WriteImage {
  readonly folder: string;
  /** File name, without `.xz`. */
  readonly name: string;
  readonly compress: boolean;
  /** Present if virt-sparsify is to be used. `required`: its failure fails the export. */
  readonly sparsify: { readonly options: ApplianceOptions; readonly required: boolean } | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface WrittenImage {
  /** All its files. */
  readonly files: readonly string[];
  /** Size in bytes of the image as written. */
  readonly size: number;
}

/** Shares of an image's step: copying, then reading it again to hash or compress it. */
const COPIED = 0.4;

/**
 * Writes an image with `.hash` (SHA-1 of the uncompressed image) and `.metadata` beside it; on disk when it resolves. Zeros take no space.
 * On failure, incomplete files may remain.
 */
export async function writeImage(image: ImageSource, request: WriteImage, step: Step): Promise<WrittenImage> {
  const { signal } = step;
  const path = join(request.folder, request.name);
  await copy(image, path, step);
  if (request.sparsify !== undefined && image.format !== undefined) await sparsify(image, path, request.sparsify, step);
  if (image.below !== undefined) {
    await setBacking({ path, backing: `./${image.below.name}`, backingFormat: image.below.format }, { signal });
  }
  await syncFile(path);
  const total = (await stat(path)).size;
  const onBytes = (bytes: number): void =>
    step.progress(
      COPIED + (1 - COPIED) * (total === 0 ? 1 : bytes / total),
      `${request.compress ? 'compressing' : 'checksum'}: ${ofTotal(bytes, total)}`,
    );
  let packed: PackedFile;
  let file = request.name;
  if (request.compress) {
    file = `${request.name}.xz`;
    packed = await compressFile(path, `${path}.xz`, { signal, onBytes });
    await rm(path);
  } else packed = await hashFile(path, { signal, onBytes });
  const virtualSize = image.format === undefined ? total : (await inspectImage(image.source, { format: image.format, signal })).virtualSize;
  const stored = (await stat(join(request.folder, file))).size;
  await writeFileAtomic(`${path}.hash`, packed.sha1);
  await writeJson(`${path}.metadata`, {
    ...request.metadata,
    ...(image.base === undefined ? {} : { base: image.base }),
    sha1: packed.sha1,
    size: packed.size,
    'virtual-size': virtualSize,
    ...(request.compress ? { compressed_size: stored } : {}),
  });
  step.progress(1, formatBytes(stored));
  return { files: [file, `${request.name}.hash`, `${request.name}.metadata`], size: stored };
}

async function copy(image: ImageSource, path: string, step: Step): Promise<void> {
  const { signal } = step;
  const { format } = image;
  if (format === undefined) {
    await copyImage(image.source, path, image.what, signal);
    return;
  }
  await convertImage(
    { from: image.source, fromFormat: format, to: path, toFormat: format, ...(image.below === undefined ? {} : { backing: image.below }) },
    { signal, onFraction: (fraction) => step.progress(fraction * COPIED, `copying: ${ofTotal(fraction * image.size, image.size)}`) },
  );
}

async function sparsify(image: ImageSource, path: string, how: NonNullable<WriteImage['sparsify']>, step: Step): Promise<void> {
  try {
    await sparsifyInPlace(
      { path, format: image.format ?? 'raw', what: image.what },
      { ...how.options, log: step.log, signal: step.signal },
    );
  } catch (error) {
    step.checkpoint();
    if (how.required || !(error instanceof EngineError)) throw error;
    step.log.warn(`${error.message} The disk ${image.what} is exported without it.`);
    // It may be partly changed.
    await rm(path, { force: true });
    await copy(image, path, step);
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } catch (error) {
    throw diskError(error, path);
  } finally {
    await file.close();
  }
}

function ofTotal(bytes: number, total: number): string {
  return `${formatBytes(bytes)} of ${formatBytes(total)}`;
}
