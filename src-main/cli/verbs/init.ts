import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { isWorkdir, newPrefixName, Workdir } from '../../engine/index.ts';
import type { VerbContext } from '../context.ts';
import { reportIssues } from '../issues.ts';
import { flagValue, listValue, textValue } from '../parser/table.ts';

/**
 * Lago's rule for the positionals of `init`: one is the init file; two are workdir and init file; none means ./LagoInitFile. The
 * workdir defaults to ./.lago unless named here or in the configuration.
 */
export function initPaths(
  cwd: string,
  first: string | undefined,
  second: string | undefined,
  configured: string | undefined,
): { readonly workdir: string; readonly initFile: string } {
  const workdir = second === undefined ? (configured ?? '.lago') : (first ?? '.lago');
  const initFile = second ?? first ?? 'LagoInitFile';
  return { workdir: resolve(cwd, workdir), initFile: resolve(cwd, initFile) };
}

/**
 * `lago init`: checks the init file, reports all its errors, and creates the environment only when there are none. With `--resume` the
 * environment goes on from an exported snapshot.
 */
export async function init(context: VerbContext): Promise<number> {
  const { config, values, around } = context;
  const configured = config.get('workdir_path') || undefined;
  const { workdir, initFile } = initPaths(around.cwd, textValue(values, 'workdir'), textValue(values, 'virt_config'), configured);
  const name = newPrefixName(config.get('prefix_name'));
  const resume = flagValue(values, 'resume');
  await access(initFile).catch((error: unknown) => {
    throw new EngineError('input.missing-file', `Unable to find ${resume ? 'exported snapshot' : 'init file'}: ${initFile}`, {
      cause: error,
    });
  });
  if (await isWorkdir(workdir)) await (await Workdir.load(workdir)).requireFree(name);
  return await context.withEngine(async (engine) => {
    if (resume) {
      const setCurrent = config.flag('set_current', 'init');
      await context.follow((options) => engine.prefix.resumeExported({ folder: initFile, workdir, name, setCurrent }, options));
      return 0;
    }
    const allowPaths = listValue(values, 'allow_path') ?? [];
    const inspection = await engine.initFile.inspect(initFile, { workdir, name, allowPaths });
    if (reportIssues(context, inspection.issues)) {
      throw new EngineError('input.invalid', `${initFile} has errors; nothing was created.`);
    }
    await context.follow((options) =>
      engine.prefix.create(
        {
          // Resolved: a directory stands for the init file in it.
          initFile: inspection.file,
          workdir,
          name,
          start: false,
          setCurrent: config.flag('set_current', 'init'),
          skipBootstrap: config.flag('skip_bootstrap', 'init'),
          skipBuild: config.flag('skip_build', 'init'),
          allowPaths,
        },
        options,
      ),
    );
    return 0;
  });
}
