import { resolve } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { RepoRequest } from '../../../engine/index.ts';
import type { VerbContext } from '../../context.ts';
import { listValue } from '../../parser/table.ts';

/** Files, distributions and sections as the command line names them. */
export function repoRequest({ values, around }: VerbContext): RepoRequest {
  return {
    files: (listValue(values, 'args') ?? []).map((file) => resolve(around.cwd, file)),
    distros: listValue(values, 'distro') ?? [],
    sections: listValue(values, 'section'),
  };
}

/** The environment here; undefined when there is none, and none was asked for. */
export async function environmentIfAny(context: VerbContext): Promise<string | undefined> {
  try {
    return (await context.prefix()).path;
  } catch (error) {
    const named = ['prefix_path', 'workdir_path', 'prefix_name'].some(
      (key) => (context.config.entry(key)?.source.layer ?? 'default') !== 'default',
    );
    if (named || !(error instanceof EngineError) || !['prefix.missing', 'workdir.missing'].includes(error.code)) throw error;
    return undefined;
  }
}
