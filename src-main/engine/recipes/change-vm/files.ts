import { realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { inspectImage } from '../../disk/qemu-img.ts';
import type { Trust } from '../../plan/trust.ts';

/** An ordinary file, with links resolved. `input.missing-file`, `input.invalid`. */
export async function requireFile(path: string, what: string): Promise<{ readonly real: string }> {
  try {
    const real = await realpath(path);
    if ((await stat(real)).isFile()) return { real };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') throw diskError(error, path);
    throw new EngineError('input.missing-file', `${what} ${path} does not exist.`, { cause: error });
  }
  throw new EngineError('input.invalid', `${path} is not an ordinary file.`, { hint: `Name a file with a ${what.toLowerCase()}.` });
}

/**
 * Rejects an image outside of the init file's folder that the user has not allowed: the guest will change it, and reads every file below
 * it. Returns the image's format.
 */
export async function requireTrusted(path: string, trust: Trust, signal: AbortSignal): Promise<string> {
  const image = await inspectImage(path, { signal });
  requireAllowed(path, trust, 'write');
  if (image.dataFile !== undefined) {
    throw new EngineError('input.invalid', `${path} keeps its data in another file, ${image.dataFile}, which a VM’s disk must not.`, {
      hint: 'Convert it: qemu-img convert -O qcow2.',
    });
  }
  const seen = new Set([path]);
  for (let upper = image; upper.backingFile !== undefined; ) {
    if (/^(?:json:|[a-z][a-z0-9+.-]*:)/i.test(upper.backingFile.replace(/^file:/, ''))) {
      throw new EngineError('input.invalid', `The backing file of ${upper.path} is not a file.`, {
        hint: 'Merge it: qemu-img convert -O qcow2.',
      });
    }
    const lower = await requireFile(resolve(dirname(upper.path), upper.backingFile.replace(/^file:/, '')), 'Backing file');
    if (seen.has(lower.real)) throw new EngineError('input.invalid', `The image ${path} and its backing file are the same file.`);
    seen.add(lower.real);
    requireAllowed(lower.real, trust, 'read');
    upper = await inspectImage(lower.real, { signal });
  }
  return image.format;
}

function requireAllowed(path: string, trust: Trust, access: 'read' | 'write'): void {
  if (trust.judge(path, access) !== 'outside') return;
  throw new EngineError(
    'input.invalid',
    `${path} lies outside of the init file’s folder, and the guest could ${access === 'write' ? 'read and change' : 'read'} it.`,
    { hint: `To allow it: --allow-path ${path}` },
  );
}
