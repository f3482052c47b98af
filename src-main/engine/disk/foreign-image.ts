import { type FileHandle, open } from 'node:fs/promises';
import { EngineError } from '../../../src-shared/errors.ts';
import { type ImageInfo, inspectImage, type ReadableFormat } from './qemu-img.ts';

/** Image kind by content; `raw` when nothing is recognised. `iso` is a file system on a raw image. */
export type ImageKind = ReadableFormat | 'iso';

const VMDK_TEXT = '# Disk DescriptorFile';
const ISO_VOLUMES = new Set(['CD001', 'BEA01']);
/** QEMU reads a VMDK's description from the second sector, up to this many bytes. */
const VMDK_DESCRIPTION = 20 * 512;

const DAMAGED = 'It was damaged in transit, or it is not what its name says.';

async function withFile<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, 'r');
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

/** Recognises an image by its content. Reads some kilobytes. A text file describing a VMDK in other files is also `vmdk`. */
export async function imageKind(path: string): Promise<ImageKind> {
  return await withFile(path, async (file) => {
    const head = await readAt(file, 0, 512);
    const begins = (text: string): boolean => head.subarray(0, text.length).equals(Buffer.from(text, 'latin1'));
    if (begins('QFI\xfb')) return 'qcow2';
    if (begins('KDMV') || begins('COWD') || begins(VMDK_TEXT)) return 'vmdk';
    if (begins('QED\0')) return 'qed';
    if (begins('vhdxfile')) return 'vhdx';
    if (begins('conectix')) return 'vpc';
    if (head.length >= 0x44 && head.readUInt32LE(0x40) === 0xbeda107f) return 'vdi';
    const volume = await readAt(file, 0x8001, 5);
    return ISO_VOLUMES.has(volume.toString('latin1')) ? 'iso' : 'raw';
  });
}

/**
 * Checks a foreign image before any program opens it: it has the declared format, is complete, not encrypted, and names no other file of
 * this machine (backing file, data file, VMDK extent or parent). `what` is the subject of the messages: "The download http://...".
 * `input.invalid` when the format is another one, `remote.invalid` for anything else.
 */
export async function checkForeignImage(path: string, format: string, what: string, signal?: AbortSignal): Promise<ImageInfo> {
  const kind = await imageKind(path);
  const readable: ReadableFormat = format === 'iso' ? 'raw' : (format as ReadableFormat);
  // The content of a raw disk is up to the guest, even a CD-ROM file system.
  const fits = kind === format || (format === 'raw' && kind === 'iso');
  if (!fits && format === 'iso')
    throw new EngineError('remote.invalid', `${what} is not an ISO image: it has no ISO volume.`, { hint: DAMAGED });
  if (!fits && (kind === 'raw' || kind === 'iso'))
    throw new EngineError('remote.invalid', `${what} is not a ${format} image.`, { hint: DAMAGED });
  if (!fits) {
    throw new EngineError('input.invalid', `${what} is a ${kind} image, but ${format} was requested.`, {
      hint: `Write "format: ${kind}" for this disk.`,
    });
  }
  // Our own parser first: qemu-img would already open the files that these headers name.
  await withFile(path, async (file) => {
    if (kind === 'qcow2') await checkQcow2(file, what);
    if (kind === 'vmdk') await checkVmdk(file, what);
  });
  const info = await inspectImage(path, { format: readable, signal }).catch((error: unknown) => {
    if (!(error instanceof EngineError) || error.code !== 'host.unavailable') throw error;
    throw new EngineError('remote.invalid', `${what} cannot be read as a ${format} image.`, {
      cause: error,
      details: error.details,
      hint: DAMAGED,
    });
  });
  const outside = info.backingFile ?? info.dataFile;
  if (outside !== undefined) throw needsAnother(what, outside);
  if (info.encrypted) throw new EngineError('remote.invalid', `${what} is encrypted and cannot be used.`);
  return info;
}

/**
 * What an image needs besides itself and its backing file, for messages: a qcow2 its data file, a VMDK its extents or parent. Reads only
 * the image's header and opens nothing that it names.
 */
export async function otherParts(path: string): Promise<string | undefined> {
  const kind = await imageKind(path);
  return await withFile(path, async (file) => {
    if (kind === 'qcow2') return (await hasDataFile(file)) ? 'an external data file' : undefined;
    if (kind !== 'vmdk') return undefined;
    try {
      await checkVmdk(file, path);
      return undefined;
    } catch (error) {
      if (error instanceof EngineError) return 'other files';
      throw error;
    }
  });
}

async function hasDataFile(file: FileHandle): Promise<boolean> {
  const head = await readAt(file, 0, 104);
  return head.length >= 80 && head.readUInt32BE(4) >= 3 && (head.readBigUInt64BE(72) & 4n) !== 0n;
}

function needsAnother(what: string, other: string): EngineError {
  return new EngineError('remote.invalid', `${what} is not complete: it needs another file, ${JSON.stringify(other.slice(0, 200))}.`, {
    hint: 'An image from elsewhere must be one file. Its maker can merge it: qemu-img convert.',
  });
}

/** Offsets as in QEMU's docs/interop/qcow2.txt. */
async function checkQcow2(file: FileHandle, what: string): Promise<void> {
  const head = await readAt(file, 0, 104);
  if (head.length < 72) throw new EngineError('remote.invalid', `${what} ends within its header.`, { hint: DAMAGED });
  const length = head.readUInt32BE(16);
  const offset = Number(head.readBigUInt64BE(8));
  if (offset !== 0) throw needsAnother(what, (await readAt(file, offset, Math.min(length, 1023))).toString('utf8'));
  if (await hasDataFile(file)) throw needsAnother(what, 'an external data file');
}

/** Accepts only self-contained forms; the others list files by path. */
async function checkVmdk(file: FileHandle, what: string): Promise<void> {
  const head = await readAt(file, 0, 512);
  const magic = head.subarray(0, 4).toString('latin1');
  // QEMU treats a sparse file without capacity as a mere description.
  if (magic !== 'KDMV' || head.length < 512 || head.readBigUInt64LE(12) === 0n) {
    throw new EngineError('remote.invalid', `${what} is a VMDK that consists of several files.`, {
      hint: 'Export it as one file (stream-optimised or monolithic sparse).',
    });
  }
  const at = Math.min(Number(head.readBigUInt64LE(28)) * 512, Number.MAX_SAFE_INTEGER);
  for (const offset of new Set([512, at])) {
    if (offset === 0) continue;
    const description = (await readAt(file, offset, VMDK_DESCRIPTION)).toString('latin1');
    const parent = /parentFileNameHint\s*=?\s*"?([^"\r\n]*)/i.exec(description);
    if (parent !== null) throw needsAnother(what, parent[1] ?? '');
  }
}
