import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { VerbContext } from '../context.ts';
import { flagValue, listValue, textValue } from '../parser/table.ts';

/** `lago templates build NAME --from IMAGE|TEMPLATE` or `--vm VM`: prints the path of the repository JSON. */
export async function buildTemplate(context: VerbContext, names: readonly string[]): Promise<number> {
  const { values, around } = context;
  const [name, ...others] = names;
  if (name === undefined || others.length > 0) throw usage('Name the template to build.');
  const absolute = (path: string): string => resolve(around.cwd, path);
  const customizeFile = textValue(values, 'customize');
  const version = textValue(values, 'template_version');
  const from = await sourceOf(context);
  await context.withEngine(async (engine) => {
    const built = await context.follow((options) =>
      engine.library.build(
        {
          name,
          from,
          folder: absolute(textValue(values, 'repo_dir') ?? 'templates'),
          run: (listValue(values, 'run') ?? []).map(absolute),
          sysprep: flagValue(values, 'sysprep'),
          compress: flagValue(values, 'compress'),
          ...(version === undefined ? {} : { version }),
          ...(customizeFile === undefined ? {} : { customizeFile: absolute(customizeFile) }),
        },
        options,
      ),
    );
    context.log.message('info', `Built ${built.name}:${built.version}. Use it with: lago init --template-repo-path ${built.repository}`);
    if (context.format === 'default') context.print(built.repository);
    else context.printValue(built);
  });
  return 0;
}

type Source = { readonly image: string } | { readonly template: string } | { readonly prefix: string; readonly vm: string };

/** A word that contains a slash or names an existing file is an image; any other is a template. */
async function sourceOf(context: VerbContext): Promise<Source> {
  const from = textValue(context.values, 'from');
  const vm = textValue(context.values, 'vm');
  if ((from === undefined) === (vm === undefined)) throw usage('Say what to build it from: --from IMAGE, --from TEMPLATE or --vm VM_NAME.');
  if (vm !== undefined) return { prefix: (await context.prefix()).path, vm };
  const path = resolve(context.around.cwd, from ?? '');
  const file = (await stat(path).catch(() => undefined))?.isFile() === true;
  return file || from?.includes('/') === true ? { image: path } : { template: from ?? '' };
}

function usage(message: string): EngineError {
  return new EngineError('input.usage', message, { hint: '"lago templates --help" shows examples.' });
}
