import type { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import { readJson } from '../../core/files/json-file.ts';

/** Reads a file of the program's own. A damaged one counts as none: everything in it can be found out again. */
export async function readState<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S> | undefined> {
  return await readJson(path, schema).catch((error: unknown) => {
    if (error instanceof EngineError && error.code === 'input.invalid') return undefined;
    throw error;
  });
}
