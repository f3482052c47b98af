import { statSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../src-shared/errors.ts';
import { readJson, writeJson } from '../core/files/json-file.ts';
import { cacheFolder } from './embedded/runtime-dir.ts';

const Verdict = z.object({ key: z.string(), value: z.string() });

export interface VerdictOptions {
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** False for a result that may be different next time; by default every one is kept. */
  readonly isKept?: (value: string) => boolean;
}

/**
 * Caches the result of a slow probe in the user's cache folder as long as `key` (everything the result depends on) stays the same. A
 * damaged or unwritable cache only costs the time of the probe.
 */
export async function cachedVerdict(
  name: string,
  key: string,
  probe: () => Promise<string>,
  options: VerdictOptions = {},
): Promise<string> {
  const folder = cacheFolder(options.environment);
  const path = join(folder, `${name}.json`);
  const known = await readVerdict(path);
  if (known?.key === key) return known.value;
  const value = await probe();
  if (options.isKept?.(value) === false) return value;
  try {
    await mkdir(folder, { recursive: true });
    await writeJson(path, { key, value });
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  return value;
}

async function readVerdict(path: string): Promise<z.infer<typeof Verdict> | undefined> {
  try {
    return await readJson(path, Verdict);
  } catch (error) {
    if (error instanceof EngineError && error.code === 'input.invalid') {
      await rm(path, { force: true });
      return undefined;
    }
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

function isRefusal(error: unknown): boolean {
  if (error instanceof EngineError) return error.code === 'host.denied' || error.code === 'host.no-space';
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EACCES' || code === 'EROFS' || code === 'EPERM' || code === 'ENOENT' || code === 'ENOTDIR';
}

/** A file's identity for a cache key, which changes when an update replaces the file. `-` when it does not exist. */
export function fileIdentity(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return '-';
  return [path, found.dev, found.ino, found.rdev, found.size, Math.round(found.mtimeMs), Math.round(found.ctimeMs)].join(':');
}
