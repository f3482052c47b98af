import { randomBytes } from 'node:crypto';
import { chmod, open, readFile, rename, rm } from 'node:fs/promises';
import type { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from './disk-error.ts';

export { diskError } from './disk-error.ts';

/**
 * Writes a file atomically (temporary file beside it, fsync, rename): readers see the old or the new content, never a part. A new file gets
 * `mode` whatever the umask.
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await chmod(temporary, mode);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw diskError(error, path);
  }
}

/** Writes JSON as Lago does (4 spaces, no trailing newline), atomically. */
export async function writeJson(path: string, value: unknown, mode = 0o644): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(value, null, 4), mode);
}

/** Reads a JSON file through its schema. `undefined` when there is no file; `input.invalid` with the path when it does not match. */
export async function readJson<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S> | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError(error, path);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new EngineError('input.invalid', `${path} is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const first = parsed.error.issues[0];
  const where = first === undefined || first.path.length === 0 ? '' : ` at ${first.path.join('.')}`;
  throw new EngineError('input.invalid', `${path} is damaged${where}: ${first?.message ?? 'unexpected content'}`, { cause: parsed.error });
}
